"""What the native protocol answers: typed documents, from which OpenAPI is generated too."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.responses import Response


class Answer(Struct, rename="camel", kw_only=True):
    """A document of the native protocol."""


class UsageAnswer(Answer, omit_defaults=True):
    """What a reply cost, in tokens; a count that the model did not tell is left out."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class MessageAnswer(Answer):
    """One message; ``content`` is its plain text, ``parts`` everything."""

    id: str
    role: Literal["user", "assistant"]
    content: str
    parts: list[Any]
    status: Literal["finished", "interrupted", "failed"]
    created_at: datetime


class TurnAnswer(Answer):
    """The newest turn; ``error`` is the code of a failure."""

    id: str
    status: Literal["open", "finished", "interrupted", "failed"]
    error: str | None


class ReplyAnswer(Answer):
    """A whole turn at once; ``reply`` is null when nothing was said before it was stopped."""

    session_id: str
    restarted: bool
    turn_id: str
    reply: MessageAnswer | None
    usage: UsageAnswer | None
    expires_at: datetime


class HistoryAnswer(Answer):
    """A page of a conversation, oldest first; pass ``next`` as ``before`` to read on backwards."""

    session_id: str
    messages: list[MessageAnswer]
    turn: TurnAnswer | None
    expires_at: datetime
    next: int | None


class OpenedAnswer(Answer):
    """A new conversation with its welcome."""

    session_id: str
    welcome: str
    locale: str
    expires_at: datetime


class StoppedAnswer(Answer):
    """Whether a reply was being written and has been stopped."""

    success: bool
    stopped: bool


class ClientKeyAnswer(Answer):
    """A new client key: keep it secret, it cannot be had again."""

    client_key: str


class HealthAnswer(Answer):
    """Whether the service can do its work."""

    status: Literal["ok"]


class ExportAnswer(Answer):
    """Everything that is kept about a conversation."""

    format: Annotated[str, Meta(description="`privity-export-1`.")]
    session_id: str
    created_at: datetime
    expires_at: datetime
    locale: str
    page_context: Raw | None
    metadata: dict[str, str]
    summary: str | None
    working_memory_from: int
    turn: dict[str, Any] | None
    messages: list[dict[str, Any]]


class ProblemAnswer(Answer, omit_defaults=True):
    """A problem (RFC 9457); ``code`` is stable, see docs/http_api.md.

    ``field`` names the offending member of the request, ``turnId`` the turn in progress.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    error: dict[str, Any]
    field: str | None = None
    turn_id: str | None = None


def json_response(
    document: Answer, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The document as an answer that nobody caches."""
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )
