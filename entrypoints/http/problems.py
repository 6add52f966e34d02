"""Every way a request can fail, as problem+json (RFC 9457) with a stable ``code``.

    EdgeError                  the HTTP layer rejects the request; the caller can fix it
    ├── CrossSiteRequest       another site initiated the request
    ├── BadRequest             the body, a header or a parameter is wrong
    └── TooManyAtOnce          too many large transfers or followed replies at the moment

``PROBLEM_TYPES`` holds the status and the message of every code. Problem documents and the error
events of streams both use it.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import msgspec
from attrs import evolve, frozen
from starlette.exceptions import HTTPException
from starlette.responses import Response

from domain.model.errors import DomainError, InvalidInput, TurnInProgress
from domain.model.rate_limits import Limit
from entrypoints.http.limit_refusals import limit_reached, rate_limit_fields, whole_seconds
from ports.errors import BudgetExhausted, PortError, TooManyRequests
from ports.language_model import ModelBusy


@frozen
class ProblemType:
    """The status and the message of a code, the same wherever it occurs.

    Attributes:
        message: a sentence for people.
        can_retry: whether the same request can succeed in a moment.
    """

    status: int
    message: str
    can_retry: bool = False


PROBLEM_TYPES: Final[Mapping[str, ProblemType]] = MappingProxyType(
    {
        # The request is wrong.
        "invalid_input": ProblemType(400, "The input is not valid."),
        "bad_request": ProblemType(400, "The request cannot be understood."),
        "body_not_json": ProblemType(400, "The body is not valid JSON."),
        "body_invalid": ProblemType(400, "The body does not have the expected members."),
        "body_incomplete": ProblemType(400, "The connection broke before the body was complete."),
        "message_empty": ProblemType(400, "The message is empty."),
        "message_not_text": ProblemType(
            400, "The message contains NUL or unpaired surrogate characters."
        ),
        "message_too_long": ProblemType(413, "The message is too long."),
        "images_not_supported": ProblemType(400, "The model of this service takes no images."),
        "image_invalid": ProblemType(400, "The image is not valid."),
        "image_too_large": ProblemType(413, "The image is too large."),
        "too_many_images": ProblemType(413, "The message has too many images."),
        "context_too_long": ProblemType(413, "The page context is too long."),
        "context_length_exceeded": ProblemType(400, "The input is too long for the model."),
        "parameter_unsupported": ProblemType(400, "This parameter is not supported."),
        "parameter_too_long": ProblemType(413, "This parameter is too long."),
        "previous_response_not_found": ProblemType(
            400, "The previous response does not exist, or has been forgotten."
        ),
        "tool_call_not_found": ProblemType(400, "No tool call is waiting for this result."),
        "session_id_missing": ProblemType(400, "A session id is required."),
        "session_id_malformed": ProblemType(400, "A session id is a lower-case UUID."),
        "chat_id_malformed": ProblemType(400, "A chat id has 1 to 256 characters and no slash."),
        "message_id_malformed": ProblemType(
            400, "A message id has 1 to 64 characters from A-Za-z0-9_-."
        ),
        "message_id_taken": ProblemType(
            409, "The id of this message is already the id of a reply."
        ),
        "cursor_malformed": ProblemType(400, "Last-Event-ID is not the id of an event."),
        "idempotency_key_malformed": ProblemType(
            400, "An Idempotency-Key is 1 to 255 visible ASCII characters."
        ),
        "tool_results_unexpected": ProblemType(
            409, "The reply is not waiting for these tool results."
        ),
        "tool_result_too_long": ProblemType(413, "The tool result is too long."),
        "client_key_invalid": ProblemType(
            401, "This is not a valid client key; POST /api/client-key issues one."
        ),
        "client_key_not_allowed": ProblemType(403, "This client key is not allowed here."),
        "cross_site_request": ProblemType(403, "Requests from other sites are not accepted."),
        "not_found": ProblemType(404, "There is nothing at this address."),
        "conversation_not_found": ProblemType(
            404, "There is no such conversation, or it has been forgotten."
        ),
        "message_not_found": ProblemType(404, "The conversation has no such message."),
        "turn_not_found": ProblemType(404, "There is no such turn, or it has been forgotten."),
        "model_not_found": ProblemType(404, "There is no such model."),
        "method_not_allowed": ProblemType(405, "This address does not support the method."),
        "body_too_slow": ProblemType(408, "The body did not arrive in time."),
        "conversation_exists": ProblemType(409, "A conversation with this id already exists."),
        "conversation_moved_on": ProblemType(
            409, "The conversation has newer messages, which would be deleted; read it again."
        ),
        "turn_in_progress": ProblemType(
            409, "A reply is still being written in this conversation."
        ),
        "turn_superseded": ProblemType(409, "Another message replaced this reply."),
        "reply_stopped": ProblemType(409, "The reply was stopped before it was complete."),
        "nothing_to_answer": ProblemType(409, "There is no message to answer."),
        "nothing_to_continue": ProblemType(409, "There is no reply to continue."),
        "conversation_gone": ProblemType(
            410, "This conversation was forgotten while the reply was being written."
        ),
        "conversation_full": ProblemType(
            413, "This conversation is full; POST /api/sessions can begin one that continues it."
        ),
        "body_too_large": ProblemType(413, "The body is too large."),
        "url_too_long": ProblemType(414, "The path and the query are too long together."),
        "unsupported_media_type": ProblemType(415, "The body must be application/json."),
        "host_unknown": ProblemType(
            421,
            "This server is not known by this host name; its operator can allow it with "
            "PRIVITY_PUBLIC_URL or PRIVITY_HOSTS.",
        ),
        "idempotency_key_reused": ProblemType(
            422, "This Idempotency-Key was already used with another request."
        ),
        "request_already_answered": ProblemType(
            422, "A request with this Idempotency-Key was answered before."
        ),
        "on_behalf_of_malformed": ProblemType(
            400, "Privity-On-Behalf-Of is 1 to 256 visible ASCII characters."
        ),
        "too_many_requests": ProblemType(429, "Too many requests; please try again later."),
        "transfers_unfinished": ProblemType(
            429,
            "Other large requests or answers of your address are unfinished; please try again.",
            can_retry=True,
        ),
        "too_many_followers": ProblemType(429, "You follow too many replies.", can_retry=True),
        "head_too_large": ProblemType(431, "The headers of the request are too large."),
        # The service failed.
        "internal_error": ProblemType(500, "Something went wrong on our side."),
        "domain_error": ProblemType(500, "The request cannot be carried out."),
        "port_error": ProblemType(500, "Something this service needs has failed."),
        "older_messages_needed": ProblemType(500, "This change needs older messages."),
        "stored_state_unreadable": ProblemType(500, "The stored conversation cannot be read."),
        "store_unavailable": ProblemType(
            503, "The conversation store is unavailable; please try again.", can_retry=True
        ),
        "conversation_busy": ProblemType(
            503, "Too many changes to this conversation at once; please try again.", can_retry=True
        ),
        "turn_not_logged": ProblemType(503, "The stream of this turn no longer exists."),
        "too_many_turns": ProblemType(
            503,
            "Too many replies are being written at the moment; please try again.",
            can_retry=True,
        ),
        "too_many_connections": ProblemType(
            503, "This server has reached its connection limit; please try again.", can_retry=True
        ),
        "too_many_transfers": ProblemType(
            503,
            "Too many large requests and answers are unfinished at the moment; please try again.",
            can_retry=True,
        ),
        "budget_exhausted": ProblemType(
            503, "The model tokens for today are used up; please try again later."
        ),
        "shutting_down": ProblemType(
            503, "This server is being restarted; please try again.", can_retry=True
        ),
        "reply_not_saved": ProblemType(
            503, "The reply could not be saved; please send your message again."
        ),
        # The model failed.
        "model_failed": ProblemType(502, "The language model failed."),
        "model_unavailable": ProblemType(502, "The language model is not available."),
        "model_credentials_rejected": ProblemType(
            502, "The language model does not accept this server's credentials."
        ),
        "model_request_rejected": ProblemType(502, "The language model rejected the request."),
        "model_context_exceeded": ProblemType(
            502, "The conversation is too long for the language model."
        ),
        "model_content_filtered": ProblemType(
            502, "The language model's content filter refused to answer."
        ),
        "model_stream_malformed": ProblemType(
            502, "The language model's reply was malformed or broke off."
        ),
        "model_busy": ProblemType(503, "The language model is busy.", can_retry=True),
        "model_timeout": ProblemType(504, "The language model did not answer in time."),
        # The operator's hook failed.
        "hook_failed": ProblemType(502, "The service that prepares the reply failed."),
        "hook_unavailable": ProblemType(
            502, "The service that prepares the reply is not available."
        ),
        "hook_answer_invalid": ProblemType(
            502, "The service that prepares the reply sent an invalid answer."
        ),
        "hook_timeout": ProblemType(
            504, "The service that prepares the reply did not answer in time."
        ),
        "turn_abandoned": ProblemType(502, "The reply broke off; please ask again."),
    }
)

_MEMBER_BY_FIELD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "session_id": "sessionId",
        "message_id": "messageId",
        "page_context": "context",
        "items": "input",
    }
)
"""The member of a request, by the name that the domain uses for it."""

_RETRY_SOON: Final = timedelta(seconds=2)
_UNREAD_BODY: Final = frozenset(
    {"body_too_large", "body_too_slow", "transfers_unfinished", "too_many_transfers"}
)


class EdgeError(Exception):
    """The HTTP layer rejects the request; nothing was changed.

    Attributes:
        code: a key of ``PROBLEM_TYPES``.
        field: the offending member of the request; None if it is the request as a whole.
    """

    def __init__(self, code: str, why: str | None = None, *, field: str | None = None) -> None:
        """``why`` replaces the message of the code with a more precise one."""
        super().__init__(user_message(code) if why is None else why)
        self.code = code
        self.field = field


class CrossSiteRequest(EdgeError):
    """Another site initiated the request."""

    def __init__(self, why: str | None = None) -> None:
        """``why`` as in ``EdgeError``."""
        super().__init__("cross_site_request", why)


class BadRequest(EdgeError):
    """The body, a header or a parameter is wrong."""


class TooManyAtOnce(EdgeError):
    """Too many large transfers are unfinished, or too many replies are being followed."""


@frozen(kw_only=True)
class Problem:
    """One problem, ready to be sent.

    Attributes:
        code: a key of ``PROBLEM_TYPES``.
        detail: a sentence for people; never repeats what they wrote.
        field: the offending member of the request; None if it is the request as a whole.
        extra: further members of the document.
        retry_after: how long to wait before trying again; None if that would not help.
        limit: the limit that was reached, and how much of it is left; None if there was none.
    """

    code: str
    detail: str
    field: str | None = None
    extra: Mapping[str, str] = MappingProxyType({})
    retry_after: timedelta | None = None
    limit: tuple[Limit, int] | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return PROBLEM_TYPES[self.code].status

    def document(self) -> dict[str, object]:
        """The members of the problem+json document."""
        is_server_error = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        error_type = "server_error" if is_server_error else "invalid_request_error"
        return {
            "type": f"urn:privity:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **({"field": self.field} if self.field else {}),
            **self.extra,
            # The same problem in OpenAI's error format.
            "error": {
                "message": self.detail,
                "type": error_type,
                "code": self.code,
                "param": self.field,
            },
        }

    def response(self) -> Response:
        """The response, with the headers that clients and proxies act on."""
        headers = {"cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(whole_seconds(self.retry_after))
        if self.limit is not None:
            headers.update(rate_limit_fields(*self.limit, self.retry_after or timedelta()))
        if self.code in _UNREAD_BODY:
            # The rest of the body is still arriving, so the connection cannot be reused.
            headers["connection"] = "close"
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        if self.code == "turn_in_progress" and self.retry_after is None:
            # The openai client would otherwise retry a 409 on its own.
            headers["x-should-retry"] = "false"
        return Response(
            msgspec.json.encode(self.document()),
            status_code=self.status,
            media_type="application/problem+json",
            headers=headers,
        )


def user_message(code: str) -> str:
    """A sentence for people that explains ``code``.

    A stored turn may carry the code of another release, so an unknown code gets a general sentence.
    """
    problem_type = PROBLEM_TYPES.get(code)
    return "The reply failed." if problem_type is None else problem_type.message


def problem_of(error: Exception) -> Problem:
    """``error`` as the caller sees it; an unexpected error reveals nothing."""
    if isinstance(error, InvalidInput):
        field = _MEMBER_BY_FIELD.get(error.field or "", error.field)
        return Problem(code=error.problem, detail=str(error), field=field)
    if isinstance(error, EdgeError):
        return evolve(problem_of_code(error.code), detail=str(error), field=error.field)
    if isinstance(error, DomainError | PortError):
        return _with_details(problem_of_code(error.code), error)
    if isinstance(error, HTTPException):
        return _problem_of_status(error.status_code)
    return problem_of_code("internal_error")


def problem_of_code(code: str) -> Problem:
    """The problem for a code, for example that of a failed turn."""
    retry_after = _RETRY_SOON if PROBLEM_TYPES[code].can_retry else None
    return Problem(code=code, detail=user_message(code), retry_after=retry_after)


def _with_details(problem: Problem, error: DomainError | PortError) -> Problem:
    if isinstance(error, TurnInProgress):
        return evolve(problem, extra={"turnId": error.turn_id}, retry_after=error.retry_after)
    if isinstance(error, TooManyRequests) and not isinstance(error, BudgetExhausted):
        return evolve(
            problem,
            detail=limit_reached(error.limit),
            retry_after=error.retry_after,
            limit=(error.limit, error.remaining),
        )
    if isinstance(error, BudgetExhausted | ModelBusy) and error.retry_after is not None:
        return evolve(problem, retry_after=error.retry_after)
    return problem


def _problem_of_status(status: int) -> Problem:
    if status == HTTPStatus.NOT_FOUND:
        return problem_of_code("not_found")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return problem_of_code("method_not_allowed")
    return problem_of_code("bad_request")
