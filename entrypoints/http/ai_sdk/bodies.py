"""What the AI SDK's ``DefaultChatTransport`` posts. Source: ``HttpChatTransport`` of ``ai`` 5 to 7.

The server owns the history, so only the newest message of what is sent is looked at. Members that
are not known here are the app's own and are ignored.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from domain.model.errors import InvalidInput
from entrypoints.http.bodies import OnBusyWord, parse
from entrypoints.http.body_bytes import MAX_BODY_BYTES
from entrypoints.http.problems import BadRequest

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


def knows_earlier_words(body: AiSdkBody) -> bool:
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
