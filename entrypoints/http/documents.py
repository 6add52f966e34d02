"""The JSON documents that the service returns, and functions that build them from domain values.

The OpenAPI document is generated from the same types.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from attrs import asdict
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from starlette.responses import Response

from domain.model.conversation import Conversation
from domain.model.message import (
    NO_SERVER,
    FilePart,
    FinishReason,
    ImagePart,
    Message,
    Part,
    PromptReport,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    Usage,
)
from domain.model.turn import Turn
from entrypoints.http.member_types import MessageIdText, SessionIdText, Timestamp, TurnIdText
from entrypoints.usecases.conversations import History

StopReason = Literal["stop", "length", "content-filter", "tool-calls", "other"]
"""Why the model stopped, in the AI SDK's words."""


class Document(Struct, rename="camel", kw_only=True):
    """A JSON document in a response."""


class UsageDocument(Document, omit_defaults=True):
    """The tokens that a reply used; a count that the model did not report is left out."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


class SourceDocument(Document):
    """A source of a reply; ``excerpt`` is the beginning of the passage that the model was given.

    ``url`` is null if the source cannot be opened.
    """

    id: str
    title: str
    url: str | None
    excerpt: str | None


class MessageDocument(Document):
    """One message; ``content`` is its plain text, ``parts`` is its whole content.

    ``finishReason`` says why the model stopped. It is null except for a finished reply.
    ``sources`` is left out if there are none.
    """

    id: MessageIdText
    role: Literal["user", "assistant"]
    content: str
    parts: list[Any]
    status: Literal["finished", "interrupted", "failed"]
    finish_reason: StopReason | None
    created_at: Timestamp
    sources: list[SourceDocument] | UnsetType = UNSET


class TurnDocument(Document):
    """The newest turn; ``error`` is the code of its failure, or null.

    ``replyId`` is the id that its reply has, or will have. If the turn continues a reply, that is
    the last message.
    """

    id: TurnIdText
    status: Literal["open", "finished", "interrupted", "failed"]
    error: str | None
    reply_id: MessageIdText


class ReplyDocument(Document):
    """A turn that has ended; ``reply`` is null if it was stopped before the first piece.

    ``messagesSeen`` and ``messagesTotal`` are null unless messages were left out of the prompt.
    """

    session_id: SessionIdText
    restarted: bool
    turn_id: TurnIdText
    reply: MessageDocument | None
    usage: UsageDocument | None
    messages_seen: int | None
    messages_total: int | None
    expires_at: Timestamp


class HistoryDocument(Document):
    """A page of messages, oldest first; pass ``next`` as ``before`` to get older messages."""

    session_id: SessionIdText
    locale: str
    metadata: dict[str, str]
    messages: list[MessageDocument]
    turn: TurnDocument | None
    expires_at: Timestamp
    next: Annotated[int, Meta(ge=1)] | None


class SessionDocument(Document):
    """A new conversation and its welcome.

    ``continues`` is the conversation that it continues. If it begins with messages or a summary of
    that one, ``welcome`` is null.
    """

    session_id: SessionIdText
    welcome: str | None
    continues: SessionIdText | None
    locale: str
    expires_at: Timestamp


class ConversationInfoDocument(Document):
    """A conversation without its messages; ``locale`` is the language of the next reply."""

    session_id: SessionIdText
    locale: str
    metadata: dict[str, str]
    expires_at: Timestamp


class StopDocument(Document):
    """``stopped``: whether a reply was being written and has been stopped."""

    success: bool
    stopped: bool


class ClientKeyDocument(Document):
    """A new client key. Store it safely: it cannot be retrieved again."""

    client_key: Annotated[str, Meta(pattern="^ck_[A-Za-z0-9_-]{64}$")]


class HealthDocument(Document):
    """The service is healthy; if it is not, the response is a problem."""

    status: Literal["ok"]


class ExportDocument(Document):
    """Everything that is stored about a conversation."""

    format: Annotated[str, Meta(description="Always `privity-export-1`.")]
    session_id: SessionIdText
    created_at: Timestamp
    expires_at: Timestamp
    locale: str
    metadata: dict[str, str]
    summary: str | None
    carried_summary: str | None
    summarized_until: int
    working_memory_from: int
    prompt_name: str | None
    hook_state: Any
    turn: dict[str, Any] | None
    messages: list[dict[str, Any]]


class ProblemDocument(Document, omit_defaults=True):
    """A problem (RFC 9457); ``code`` is stable (see docs/http_api.md).

    ``field`` names the offending member of the request, ``turnId`` the turn in progress.
    """

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    code: str
    detail: str
    error: dict[str, Any]
    field: str | None = None
    turn_id: str | None = None


def json_response(
    document: Struct | Mapping[str, Any],
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """A JSON response that must not be cached."""
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **headers},
    )


def usage_document(usage: Usage | None) -> UsageDocument | None:
    """The usage; None if the model reported none."""
    if usage is None:
        return None
    return UsageDocument(**asdict(usage))


def finish_reason_member(reason: FinishReason | None) -> dict[str, StopReason]:
    """The member ``finishReason``; empty if the reply has none."""
    return {} if reason is None else {"finishReason": reason.value}


def message_counts(report: PromptReport | None) -> dict[str, int]:
    """How many messages the model saw, and how many there were; empty if it saw all of them."""
    if report is None or report.sees_all:
        return {}
    return {"messagesSeen": report.messages_seen, "messagesTotal": report.messages_total}


def message_document(message: Message) -> MessageDocument:
    """A message of the user or the assistant as JSON."""
    sources = [source_document(part) for part in message.parts if isinstance(part, SourcePart)]
    return MessageDocument(
        id=message.id,
        role="assistant" if message.role is Role.ASSISTANT else "user",
        content=message.text,
        parts=[part_document(part) for part in message.parts],
        status=message.status.value,
        finish_reason=message.finish_reason and message.finish_reason.value,
        created_at=message.created_at,
        sources=sources or UNSET,
    )


def source_document(source: SourcePart) -> SourceDocument:
    """A source as JSON."""
    return SourceDocument(**asdict(source))


def history_document(history: History) -> HistoryDocument:
    """A page of messages without instructions, with the newest turn."""
    conversation = history.conversation
    dialogue = [message for message in history.page.messages if not message.is_instruction]
    return HistoryDocument(
        session_id=conversation.id,
        locale=conversation.locale,
        metadata=dict(conversation.metadata),
        messages=[message_document(message) for message in dialogue],
        turn=_turn_document(conversation.turn),
        expires_at=conversation.expires_at,
        next=history.page.next,
    )


def conversation_info_document(conversation: Conversation) -> ConversationInfoDocument:
    """The conversation without its messages."""
    return ConversationInfoDocument(
        session_id=conversation.id,
        locale=conversation.locale,
        metadata=dict(conversation.metadata),
        expires_at=conversation.expires_at,
    )


def export_document(conversation: Conversation) -> ExportDocument:
    """Everything that is stored, except digests, which are useless to a reader."""
    return ExportDocument(
        format="privity-export-1",
        session_id=conversation.id,
        created_at=conversation.created_at,
        expires_at=conversation.expires_at,
        locale=conversation.locale,
        metadata=dict(conversation.metadata),
        summary=conversation.summary,
        carried_summary=conversation.carried_summary,
        summarized_until=conversation.summarized_until,
        working_memory_from=conversation.working_memory_from,
        prompt_name=conversation.prompt_name,
        hook_state=_json_member(conversation.hook_state),
        turn=_turn_export(conversation.turn),
        messages=[_message_export(message) for message in conversation.messages],
    )


def part_document(part: Part) -> Any:  # noqa: PLR0911 - one case per kind of part
    """A part as JSON."""
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ReasoningPart(text):
            return {"type": "reasoning", "text": text}
        case ToolCallPart() | ToolResultPart():
            return _tool_document(part)
        case ImagePart() | FilePart():
            return _file_document(part)
        case SourcePart():
            return {"type": "source", **asdict(part)}
        case StepMark():
            return {"type": "step-start"}
        case UnknownPart(json):
            return Raw(json.encode())


def _tool_document(part: ToolCallPart | ToolResultPart) -> dict[str, Any]:
    if isinstance(part, ToolResultPart):
        document = {"type": "tool-result", "toolCallId": part.call_id}
        return {**document, "output": Raw(part.output.encode()), "failed": part.failed}
    document = {"type": "tool-call", "toolCallId": part.call_id, "toolName": part.name}
    return {**document, "arguments": part.arguments, **_run_by(part.server)}


def _run_by(server: str | None) -> dict[str, Any]:
    """Who runs a call, in the words of the stream; ``server`` is that of a ``ToolCallPart``."""
    if server is None:
        return {}
    return {"providerExecuted": True, **({} if server == NO_SERVER else {"server": server})}


def _file_document(part: ImagePart | FilePart) -> dict[str, str]:
    if isinstance(part, ImagePart):
        document = {"type": "image", "url": part.data_url, "mediaType": part.media_type}
        return {**document, "detail": part.detail}
    document = {"type": "file", "url": part.url, "mediaType": part.media_type}
    return document if part.name is None else {**document, "name": part.name}


def _turn_document(turn: Turn | None) -> TurnDocument | None:
    if turn is None:
        return None
    return TurnDocument(
        id=turn.id, status=turn.status.value, error=turn.error, reply_id=turn.reply_id
    )


def _turn_export(turn: Turn | None) -> dict[str, Any] | None:
    if turn is None:
        return None
    return {
        "id": turn.id,
        "number": turn.number,
        "status": turn.status.value,
        "openedAt": turn.opened_at,
        "endedAt": turn.ended_at,
        "replyId": turn.reply_id,
        "error": turn.error,
    }


def _message_export(message: Message) -> dict[str, Any]:
    reason, state = message.finish_reason, message.hook_state_before
    return {
        "id": message.id,
        "number": message.number,
        "turn": message.turn,
        "role": message.role.value,
        "status": message.status.value,
        "createdAt": message.created_at,
        "parts": [part_document(part) for part in message.parts],
        "finishReason": reason.value if reason else None,
        "usage": usage_document(message.usage),
        "pageContext": _json_member(message.page_context),
        **({} if state is None else {"hookStateBefore": _json_member(state)}),
    }


def _json_member(text: str | None) -> Raw | None:
    """The value of a member that is stored as JSON text."""
    return None if text is None else Raw(text.encode())
