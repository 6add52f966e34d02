"""What an OpenAI-compatible server's refusals mean.

    401, 403        our credentials
    429             busy; Retry-After (RFC 9110, section 10.2.3) says for how long
    408, 5xx        not available
    400, 413, 422   too long, filtered, or just wrong: told apart by the words below

Neither the body of a refusal nor an exception made of it is passed on: it may repeat the prompt.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from ports.language_model import (
    ContentFiltered,
    ContextExceeded,
    ModelBusy,
    ModelError,
    ModelRejectedCredentials,
    ModelRejectedRequest,
    ModelUnavailable,
)

# OpenAI, Azure, vLLM, llama.cpp, Mistral and Groq, in this order.
_TOO_LONG: Final = re.compile(
    r"context_length_exceeded|maximum context length|exceed_context_size|context size|"
    r"context window|prompt is too long|too large for model|request_too_large",
    re.IGNORECASE,
)
_FILTERED: Final = re.compile(
    r"content_filter|content_policy|content management policy|ResponsibleAIPolicyViolation|"
    r"moderation|safety",
    re.IGNORECASE,
)
_CREDENTIALS: Final = (401, 403)
_BUSY: Final = 429
_TIMEOUT: Final = 408
_TOO_LARGE: Final = 413
_FIRST_OF_SERVER: Final = 500
_TELLING: Final = ("code", "type", "message")


def failure_of_status(status: int, retry_after: timedelta | None, body: bytes) -> ModelError:
    """The failure that an answer other than 200 stands for."""
    if status in _CREDENTIALS:
        return ModelRejectedCredentials()
    if status == _BUSY:
        return ModelBusy(retry_after)
    if status == _TIMEOUT or status >= _FIRST_OF_SERVER:
        return ModelUnavailable()
    return _by_words(_error_in(body), too_large=status == _TOO_LARGE)


def failure_in_stream(error: Any) -> ModelError:
    """The failure that an ``error`` member in the middle of a stream stands for."""
    status = error.get("code", error.get("status")) if isinstance(error, dict) else None
    if isinstance(status, int) and status in (*_CREDENTIALS, _BUSY):
        return failure_of_status(status, None, b"")
    by_words = _by_words(error)
    # A server that began to answer found nothing wrong with the request.
    return ModelUnavailable() if isinstance(by_words, ModelRejectedRequest) else by_words


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the server asks us to wait; absent when it does not say, or not understandably."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 86_400))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(until - now, timedelta()) if until.tzinfo else None


def _error_in(body: bytes) -> Any:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return document.get("error", document) if isinstance(document, dict) else None


def _by_words(error: Any, *, too_large: bool = False) -> ModelError:
    if isinstance(error, dict):
        words = " ".join(str(error[name]) for name in _TELLING if name in error)
    else:
        words = error if isinstance(error, str) else ""
    if too_large or _TOO_LONG.search(words):
        return ContextExceeded()
    return ContentFiltered() if _FILTERED.search(words) else ModelRejectedRequest()
