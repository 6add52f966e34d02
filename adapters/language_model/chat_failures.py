"""The errors for an OpenAI-compatible server's error responses.

    401, 403     the credentials are rejected
    429          busy; Retry-After (RFC 9110, section 10.2.3) says for how long
    408, 5xx     not available
    413          the prompt is too long
    other        too long, filtered or invalid, depending on the error's text

The body of a response is never part of an error, because it may repeat the prompt. Only its error
code is, if it looks like one: ``model_not_found``, for example.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec

from adapters.language_model.window_refusals import context_exceeded, is_too_long
from ports.language_model import (
    ContentFiltered,
    FailureDetails,
    ModelBusy,
    ModelError,
    ModelRejectedCredentials,
    ModelRejectedRequest,
    ModelUnavailable,
)

_FILTERED: Final = re.compile(
    r"content_filter|content_policy|content management policy|ResponsibleAIPolicyViolation|"
    r"moderation|safety",
    re.IGNORECASE,
)
_CREDENTIALS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SEARCHED_MEMBERS: Final = ("code", "type", "message")
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RETRY_AFTER_MAX_SECONDS: Final = 86_400


def failure_of_status(status: int, wait: timedelta | None, body: bytes) -> ModelError:
    """The error for a response whose status is not 200, with its details."""
    error = _error_in(body)
    failure = _failure_of_status(status, wait, error)
    failure.details = FailureDetails(status=status, provider_code=_code_in(error))
    return failure


def _failure_of_status(status: int, wait: timedelta | None, error: Any) -> ModelError:
    if status in _CREDENTIALS:
        return ModelRejectedCredentials()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ModelBusy(wait)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelUnavailable()
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return context_exceeded(error, _text_in(error))
    return _failure_of_text(error)


def failure_in_stream(error: Any) -> ModelError:
    """The error for an ``error`` member in the middle of a stream, with its details."""
    status = error.get("code", error.get("status")) if isinstance(error, dict) else None
    if isinstance(status, int) and status in (*_CREDENTIALS, HTTPStatus.TOO_MANY_REQUESTS):
        failure = _failure_of_status(status, None, error)
    else:
        failure = _failure_of_text(error)
    if isinstance(failure, ModelRejectedRequest):
        # A server that started to reply found nothing wrong with the request.
        failure = ModelUnavailable()
    failure.details = FailureDetails(provider_code=_code_in(error), reason="error-in-stream")
    return failure


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the server asks us to wait; None without a valid Retry-After header."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), _RETRY_AFTER_MAX_SECONDS))
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
    if isinstance(document, list) and document:
        document = document[0]
    return document.get("error", document) if isinstance(document, dict) else None


def _code_in(error: Any) -> str | None:
    """The provider's code of ``error``; None if nothing in it looks like a code."""
    if not isinstance(error, dict):
        return None
    members = [error.get(name) for name in ("code", "type", "status")]
    codes = [str(code) for code in members if isinstance(code, str | int)]
    # A number often only repeats the status, so a word says more.
    codes.sort(key=str.isdigit)
    return next((code for code in codes if _CODE.fullmatch(code)), None)


def _text_in(error: Any) -> str:
    if isinstance(error, dict):
        return " ".join(str(error[name]) for name in _SEARCHED_MEMBERS if name in error)
    return error if isinstance(error, str) else ""


def _failure_of_text(error: Any) -> ModelError:
    text = _text_in(error)
    if is_too_long(text):
        return context_exceeded(error, text)
    return ContentFiltered() if _FILTERED.search(text) else ModelRejectedRequest()
