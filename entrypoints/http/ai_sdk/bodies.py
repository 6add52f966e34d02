"""What the AI SDK's ``DefaultChatTransport`` posts. Source: ``HttpChatTransport`` of ``ai`` 5 to 7.

The server owns the history, so only the newest message of what is sent is looked at. Members that
are not known here are the app's own and are ignored.

What the newest message of the AI SDK's body says: words, or the results of tools.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from domain.model.errors import InvalidInput
from domain.model.identifiers import MessageId, message_id
from domain.model.message import TextPart, ToolResultPart
from domain.service.tool_answers import tool_result
from domain.service.user_input import user_text
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import MAX_BODY_BYTES, OnBusyWord, parse

MAX_AI_SDK_BODY_BYTES: Final = 2_097_152
"""The client sends the whole chat each time, though only its newest message counts."""

_LONGEST_CHAT_ID: Final = 256


class AiSdkBody(Struct, rename="camel"):
    """A message of `useChat`; other members are ignored."""

    id: Annotated[str, Meta(description="The client's name for the chat, or a session id.")]
    messages: Annotated[list[Raw], Meta(description="UI messages; only the newest counts.")] = (
        msgspec.field(default_factory=list)
    )
    message: Annotated[Raw, Meta(description="The newest UI message alone.")] = msgspec.field(
        default_factory=Raw
    )
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Annotated[
        str | None, Meta(description="The message that is edited, continued or replaced.")
    ] = None
    locale: Annotated[str, Meta(max_length=64, description="A BCP 47 tag.")] | None = None
    context: Annotated[
        Raw, Meta(description="JSON about the page the user is on; at most 8 kB.")
    ] = msgspec.field(default_factory=Raw)
    on_busy: Annotated[
        OnBusyWord | None, Meta(description="What to do about a reply still being written.")
    ] = None

    @property
    def is_regeneration(self) -> bool:
        """Whether another answer is wanted instead of something said."""
        return self.trigger == "regenerate-message"

    @property
    def page_context(self) -> str | None:
        """JSON text about the page, absent when not told."""
        return _text(self.context) if self.context not in (Raw(b""), Raw(b"null")) else None


class UiMessage(Struct):
    """A message as the client keeps it."""

    role: Literal["user", "assistant", "system"]
    parts: list[Raw]
    id: str = ""


class _Shape(Struct):
    """Enough of a body to tell whose it is."""

    message: Raw = msgspec.field(default_factory=Raw)
    messages: Raw = msgspec.field(default_factory=Raw)


class _Speaker(Struct):
    """Enough of a message to tell who spoke."""

    role: str


def chat_bound(beginning: bytes) -> int:
    """How many bytes a body may have that begins like this: a long one must show its messages."""
    return MAX_AI_SDK_BODY_BYTES if b'"messages"' in beginning else MAX_BODY_BYTES


def is_ai_sdk(raw: bytes) -> bool:
    """Whether this is the AI SDK's body: its ``message`` is an object, or ``messages`` a list."""
    try:
        shape = msgspec.json.decode(raw, type=_Shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    message, messages = bytes(shape.message), bytes(shape.messages)
    return message.startswith(b"{") or (messages.startswith(b"[") and not message)


def read_ai_sdk(raw: bytes) -> AiSdkBody:
    """The body that ``raw`` holds.

    Raises:
        BadRequest: ``body_not_json`` or ``body_invalid``.
        InvalidInput: ``chat_id_malformed``.
    """
    body = parse(raw, AiSdkBody)
    # A slash would make the paths with this id ambiguous.
    if not 0 < len(body.id) <= _LONGEST_CHAT_ID or "/" in body.id:
        why = f"The id of a chat has 1 to {_LONGEST_CHAT_ID} characters, and no slash."
        raise InvalidInput("chat_id_malformed", why, field="id")
    return body


def newest_message(body: AiSdkBody) -> UiMessage | None:
    """The newest message that was sent; absent when there is none.

    Raises:
        BadRequest: it is no message.
    """
    newest = body.message if bytes(body.message) else body.messages[-1] if body.messages else None
    if newest is None:
        return None
    return parse(bytes(newest), UiMessage)


def has_earlier_user_message(body: AiSdkBody) -> bool:
    """Whether the client shows something that its user said before the newest message."""
    return any(_is_users(raw) for raw in body.messages[:-1])


def _is_users(raw: Raw) -> bool:
    try:
        return msgspec.json.decode(raw, type=_Speaker).role == "user"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _text(raw: Raw) -> str:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadRequest("body_not_json", "The body is not valid JSON.") from None


_ID_DIGITS: Final = 32
_SPEAKING: Final = "text"
_NO_FILES: Final = "Messages are text; files are not taken."


class _Kind(Struct):
    type: str


class _Words(Struct):
    text: str


class _Tool(Struct, rename="camel"):
    tool_call_id: str
    state: str = ""
    output: Raw = msgspec.field(default_factory=lambda: Raw(b"null"))
    error_text: str = ""


def text_of(message: UiMessage) -> TextPart:
    """Its text, the parts one below the other.

    Raises:
        BadRequest: a part is malformed, or a file.
        InvalidInput: the text cannot be taken.
    """
    texts: list[str] = []
    for kind, raw in _kinds(message):
        if kind == "file":
            raise BadRequest("body_invalid", _NO_FILES, field="parts")
        if kind == _SPEAKING:
            texts.append(parse(raw, _Words).text)
    return user_text("\n".join(texts))


def tool_results_of(message: UiMessage) -> Sequence[ToolResultPart]:
    """The results that it holds, of whatever calls.

    Raises:
        BadRequest: a part is malformed.
        InvalidInput: a result is too long.
    """
    tools = (raw for kind, raw in _kinds(message) if _is_tool(kind))
    results = (_result(parse(raw, _Tool)) for raw in tools)
    return tuple(result for result in results if result is not None)


def storable_id(told: str) -> MessageId | None:
    """The id to keep a message under; absent when the client gave none.

    One that is malformed is replaced by a digest, so that the client may go on using it.
    """
    if not told:
        return None
    try:
        return message_id(told)
    except InvalidInput:
        digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        return MessageId(digest[:_ID_DIGITS])


def _kinds(message: UiMessage) -> Iterator[tuple[str, bytes]]:
    for raw in message.parts:
        yield parse(bytes(raw), _Kind).type, bytes(raw)


def _is_tool(kind: str) -> bool:
    return kind.startswith("tool-") or kind == "dynamic-tool"


def _result(tool: _Tool) -> ToolResultPart | None:
    match tool.state:
        case "output-available":
            return tool_result(tool.tool_call_id, _json(tool.output))
        case "output-error":
            why = msgspec.json.encode(tool.error_text).decode()
            return tool_result(tool.tool_call_id, why, failed=True)
        case _:
            return None


def _json(raw: Raw) -> str:
    # Decoded whole, as what is kept is shown again as JSON.
    return msgspec.json.encode(parse(bytes(raw), object)).decode()
