"""The bodies that the AI SDK's ``DefaultChatTransport`` posts.

Source: ``HttpChatTransport`` of ``ai`` 5 to 7.

The server owns the history, so it reads only the newest message in a body: its text, or its tool
results. Unknown members belong to the app and are ignored.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from domain.model.errors import InvalidInput
from domain.model.identifiers import MessageId, message_id
from domain.model.limits import MessageLimit
from domain.model.message import TextPart, ToolResultPart
from domain.service.tool_answers import tool_result
from domain.service.user_input import user_text
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import (
    LocaleMember,
    OnBusyMember,
    PageContextMember,
    message_body_bytes,
    parse,
)

MAX_AI_SDK_BODY_BYTES: Final = 2_097_152
"""The client sends the whole chat each time, although only its newest message counts."""

_MAX_MESSAGES: Final = 2_000
_MAX_PARTS: Final = 2_000
_MAX_CHAT_ID: Final = 256
_ID_DIGITS: Final = 32


class AiSdkBody(Struct, rename="camel"):
    """A request body of `useChat`; other members are ignored."""

    id: Annotated[str, Meta(description="The client's id for the chat, or a session id.")]
    messages: Annotated[
        list[Raw],
        Meta(max_length=_MAX_MESSAGES, description="UI messages; only the newest counts."),
    ] = msgspec.field(default_factory=list)
    message: Annotated[Raw, Meta(description="The newest UI message alone.")] = msgspec.field(
        default_factory=Raw
    )
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Annotated[
        str | None, Meta(description="The message that is edited, continued or replaced.")
    ] = None
    locale: LocaleMember | None = None
    context: PageContextMember = msgspec.field(default_factory=Raw)
    on_busy: OnBusyMember = None

    @property
    def is_regeneration(self) -> bool:
        """Whether the body requests another reply instead of sending a message."""
        return self.trigger == "regenerate-message"


class UiMessage(Struct):
    """A message in the client's format."""

    role: Literal["user", "assistant", "system"]
    parts: Annotated[list[Raw], Meta(max_length=_MAX_PARTS)]
    id: str = ""


class _BodyOutline(Struct):
    """The members that show which protocol a body belongs to."""

    message: Raw = msgspec.field(default_factory=Raw)
    messages: Raw = msgspec.field(default_factory=Raw)


class _MessageRole(Struct):
    role: str


class _PartType(Struct):
    type: str


class _TextPart(Struct):
    text: str


class _ToolPart(Struct, rename="camel"):
    tool_call_id: str
    state: str = ""
    output: Raw = msgspec.field(default_factory=lambda: Raw(b"null"))
    error_text: str = ""


def chat_body_limit(limit: MessageLimit) -> Callable[[bytes], int]:
    """Returns the size limit of a body by its beginning; higher if that contains ``"messages"``."""
    message_bytes = message_body_bytes(limit)
    return lambda beginning: MAX_AI_SDK_BODY_BYTES if b'"messages"' in beginning else message_bytes


def is_ai_sdk(raw: bytes) -> bool:
    """Whether this is an AI SDK body: ``message`` is an object, or ``messages`` is a list."""
    try:
        outline = msgspec.json.decode(raw, type=_BodyOutline)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    message, messages = bytes(outline.message), bytes(outline.messages)
    return message.startswith(b"{") or (messages.startswith(b"[") and not message)


def read_ai_sdk(raw: bytes) -> AiSdkBody:
    """The parsed body.

    Raises:
        BadRequest: ``body_not_json`` or ``body_invalid``.
        InvalidInput: ``chat_id_malformed``.
    """
    body = parse(raw, AiSdkBody)
    # A slash would make the paths with this id ambiguous.
    if not 0 < len(body.id) <= _MAX_CHAT_ID or "/" in body.id:
        why = f"A chat id has 1 to {_MAX_CHAT_ID} characters and no slash."
        raise InvalidInput("chat_id_malformed", why, field="id")
    return body


def newest_message(body: AiSdkBody) -> UiMessage | None:
    """The newest message in the body; None if there is none.

    In a regeneration, the result is also None if that message is not from the user.

    Raises:
        BadRequest: the message is malformed.
    """
    newest = body.message if bytes(body.message) else body.messages[-1] if body.messages else None
    if newest is None:
        return None
    message = parse(bytes(newest), UiMessage)
    return None if body.is_regeneration and message.role != "user" else message


def has_earlier_user_message(body: AiSdkBody) -> bool:
    """Whether the body contains a user message before the newest message."""
    return any(_role_of(raw) == "user" for raw in body.messages[:-1])


def reject_system_messages(body: AiSdkBody) -> None:
    """Reject a body with a system message, because only the newest message would be used.

    Raises:
        BadRequest: ``parameter_unsupported``.
    """
    name = "message" if bytes(body.message) else "messages"
    if any(_role_of(raw) == "system" for raw in (*body.messages, body.message)):
        why = (
            "System messages are not accepted, because the operator writes the system prompt. "
            "Send data about the page as 'context'."
        )
        raise BadRequest("parameter_unsupported", why, field=name)


def _role_of(raw: Raw) -> str | None:
    """The role of a message; None if the message is malformed."""
    try:
        return msgspec.json.decode(raw, type=_MessageRole).role
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def text_of(message: UiMessage, limit: MessageLimit) -> TextPart:
    """The text of the message; several text parts are joined by newlines.

    Raises:
        BadRequest: a part is malformed or is a file.
        InvalidInput: see ``user_text``.
    """
    texts: list[str] = []
    for kind, raw in _parts(message):
        if kind == "file":
            why = "Messages contain only text; files are not accepted."
            raise BadRequest("body_invalid", why, field="parts")
        if kind == "text":
            texts.append(parse(raw, _TextPart).text)
    return user_text("\n".join(texts), limit)


def tool_results_of(message: UiMessage) -> Sequence[ToolResultPart]:
    """All tool results in the message, including those that the server already has.

    Raises:
        BadRequest: a part is malformed.
        InvalidInput: ``tool_result_too_long``.
    """
    tools = (raw for kind, raw in _parts(message) if _is_tool(kind))
    results = (_result(parse(raw, _ToolPart)) for raw in tools)
    return tuple(result for result in results if result is not None)


def _is_tool(kind: str) -> bool:
    return kind.startswith("tool-") or kind == "dynamic-tool"


def _parts(message: UiMessage) -> Iterator[tuple[str, bytes]]:
    for raw in message.parts:
        yield parse(bytes(raw), _PartType).type, bytes(raw)


def _result(tool: _ToolPart) -> ToolResultPart | None:
    match tool.state:
        case "output-available":
            return tool_result(tool.tool_call_id, _compact(bytes(tool.output)))
        case "output-error":
            error = msgspec.json.encode(tool.error_text).decode()
            return tool_result(tool.tool_call_id, error, failed=True)
        case _:
            return None


def _compact(json: bytes) -> str:
    """The JSON text without white space, checked without building its objects in memory."""
    try:
        return msgspec.json.format(json, indent=-1).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("body_not_json") from None


def storable_id(client_id: str) -> MessageId | None:
    """The id to store a message under; None if the client sent none.

    A malformed id is replaced by its digest, so that the client can keep using it.
    """
    if not client_id:
        return None
    try:
        return message_id(client_id)
    except InvalidInput:
        digest = hashlib.sha256(client_id.encode("utf-8", "surrogatepass")).hexdigest()
        return MessageId(digest[:_ID_DIGITS])
