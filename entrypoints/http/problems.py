"""Every way a request can fail, as problem+json (RFC 9457) with a stable ``code``.

    EdgeError                  what only HTTP knows of; the caller's to mend
    ├── CrossSiteRequest       another site made the browser send it
    └── BadRequest             the body, a header or a parameter is wrong

The member ``error`` repeats the problem in the shape that AI SDK users know.

Every stable code a caller may meet: its status, its sentence, whether to come back.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import msgspec
from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.responses import Response

from domain.model.errors import DomainError, InvalidInput, TurnInProgress
from ports.errors import PortError, TooManyRequests
from ports.language_model import ModelBusy, ModelError

STATUS_BY_CODE: Final[Mapping[str, int]] = MappingProxyType(
    {
        # what was sent
        "invalid_input": 400,
        "bad_request": 400,
        "body_not_json": 400,
        "body_invalid": 400,
        "body_incomplete": 400,
        "message_empty": 400,
        "message_not_text": 400,
        "message_too_long": 413,
        "context_too_long": 413,
        "parameter_unsupported": 400,
        "previous_response_not_found": 400,
        "tool_call_not_found": 400,
        "session_id_missing": 400,
        "session_id_malformed": 400,
        "chat_id_malformed": 400,
        "message_id_malformed": 400,
        "message_id_taken": 409,
        "cursor_malformed": 400,
        "idempotency_key_malformed": 400,
        "tool_results_unexpected": 409,
        "tool_result_too_long": 413,
        "client_key_invalid": 401,
        "client_key_not_allowed": 403,
        "cross_site_request": 403,
        "not_found": 404,
        "conversation_not_found": 404,
        "message_not_found": 404,
        "turn_not_found": 404,
        "model_not_found": 404,
        "method_not_allowed": 405,
        "body_too_slow": 408,
        "conversation_exists": 409,
        "turn_in_progress": 409,
        "turn_superseded": 409,
        "nothing_to_answer": 409,
        "conversation_gone": 410,
        "conversation_too_large": 413,
        "body_too_large": 413,
        "unsupported_media_type": 415,
        "idempotency_key_reused": 422,
        "too_many_requests": 429,
        # what failed here
        "internal_error": 500,
        "domain_error": 500,
        "port_error": 500,
        "older_messages_needed": 500,
        "stored_state_unreadable": 500,
        "store_unavailable": 503,
        "conversation_busy": 503,
        "turn_not_logged": 503,
        "too_many_turns": 503,
        "too_many_connections": 503,
        "shutting_down": 503,
        "reply_not_saved": 503,
        # what failed at the model
        "model_failed": 502,
        "model_unavailable": 502,
        "model_credentials_rejected": 502,
        "model_request_rejected": 502,
        "model_context_exceeded": 502,
        "model_content_filtered": 502,
        "model_stream_malformed": 502,
        "model_busy": 503,
        "model_timeout": 504,
        "turn_abandoned": 502,
    }
)

CODES_TO_RETRY: Final = frozenset(
    {
        "store_unavailable",
        "conversation_busy",
        "too_many_turns",
        "shutting_down",
        "model_busy",
        "too_many_connections",
    }
)

_SENTENCE_BY_CODE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "conversation_gone": "This conversation was forgotten while the reply was being written.",
        "reply_not_saved": "The reply could not be saved; please send your message again.",
        "turn_superseded": "Another message took the place of this reply.",
        "turn_abandoned": "The reply broke off; please ask again.",
        "store_unavailable": "The conversation cannot be reached at the moment.",
        "too_many_connections": "This server has no room for another connection.",
        "internal_error": "Something went wrong on our side.",
    }
)


def user_message(code: str) -> str:
    """A sentence for people about ``code``."""
    return _SENTENCE_BY_CODE.get(code) or _PORT_SENTENCES.get(code, "The reply failed.")


def _kinds_of(kind: type[PortError]) -> list[type[PortError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _kinds_of(sub))]


_PORT_SENTENCES: Final = MappingProxyType(
    {kind.code: kind.message for kind in (*_kinds_of(PortError), *_kinds_of(ModelError))}
)


_MEMBER_BY_FIELD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "session_id": "sessionId",
        "message_id": "messageId",
        "page_context": "context",
        "items": "input",
    }
)
"""What requests call the fields that the domain names."""

_RETRY_SOON: Final = timedelta(seconds=2)
_UNREAD_BODY: Final = frozenset({"body_too_large", "body_too_slow"})
_SERVER_FAULT: Final = 500
_UNAUTHORIZED: Final = 401


class EdgeError(Exception):
    """A request that HTTP itself finds wrong; nothing was changed."""

    def __init__(self, code: str, why: str, *, field: str | None = None) -> None:
        super().__init__(why)
        self.code = code
        self.field = field


class CrossSiteRequest(EdgeError):
    """Another site made the browser send this."""

    def __init__(self) -> None:
        super().__init__("cross_site_request", "Requests from other sites are not accepted.")


class BadRequest(EdgeError):
    """The body, a header or a parameter is wrong."""


@frozen(kw_only=True)
class Problem:
    """One problem, ready to be sent.

    Attributes:
        code: stable, see ``STATUS_BY_CODE``.
        detail: a sentence for people; never what they wrote.
        field: the offending member of the request, absent when it is the whole.
        extra: further members of the document.
        retry_after: when to come back; absent when that would not help.
    """

    code: str
    detail: str
    field: str | None = None
    extra: Mapping[str, str] = MappingProxyType({})
    retry_after: timedelta | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS_BY_CODE[self.code]

    def document(self) -> dict[str, object]:
        """The problem+json members."""
        kind = "server_error" if self.status >= _SERVER_FAULT else "invalid_request_error"
        error = {"message": self.detail, "type": kind, "code": self.code, "param": self.field}
        return {
            "type": f"urn:privity:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **({"field": self.field} if self.field else {}),
            **self.extra,
            "error": error,
        }

    def response(self) -> Response:
        """The whole answer."""
        headers = {"cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, round(self.retry_after.total_seconds())))
        if self.code in _UNREAD_BODY:
            # The rest of the body still comes; another request cannot follow it.
            headers["connection"] = "close"
        if self.status == _UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        if self.code == "turn_in_progress":
            # The openai client would repeat a 409 by itself.
            headers["x-should-retry"] = "false"
        return Response(
            msgspec.json.encode(self.document()),
            status_code=self.status,
            media_type="application/problem+json",
            headers=headers,
        )


def problem_of(error: Exception) -> Problem:
    """What the caller is told about ``error``; nothing of an error that is not ours."""
    if isinstance(error, InvalidInput):
        field = _MEMBER_BY_FIELD.get(error.field or "", error.field)
        return Problem(code=error.problem, detail=str(error), field=field)
    if isinstance(error, TurnInProgress):
        return Problem(code=error.code, detail=str(error), extra={"turnId": error.turn_id})
    if isinstance(error, EdgeError):
        return Problem(code=error.code, detail=str(error), field=error.field)
    if isinstance(error, DomainError | PortError):
        return Problem(code=error.code, detail=str(error), retry_after=_retry_after(error))
    if isinstance(error, HTTPException):
        return _of_http(error)
    return problem_of_code("internal_error")


def problem_of_code(code: str) -> Problem:
    """A problem that is known by its code only, such as the end of a turn."""
    retry = _RETRY_SOON if code in CODES_TO_RETRY else None
    return Problem(code=code, detail=user_message(code), retry_after=retry)


def _retry_after(error: DomainError | PortError) -> timedelta | None:
    if isinstance(error, TooManyRequests | ModelBusy) and error.retry_after is not None:
        return error.retry_after
    return _RETRY_SOON if error.code in CODES_TO_RETRY else None


def _of_http(error: HTTPException) -> Problem:
    if error.status_code == STATUS_BY_CODE["not_found"]:
        return Problem(code="not_found", detail="There is nothing at this address.")
    if error.status_code == STATUS_BY_CODE["method_not_allowed"]:
        return Problem(code="method_not_allowed", detail="This address has no such method.")
    return Problem(code="bad_request", detail="The request cannot be understood.")
