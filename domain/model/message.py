"""One message of a conversation; its content is a sequence of typed parts."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen
from attrs.validators import ge, in_

from domain.model.characters import CharacterCounts, count_characters
from domain.model.identifiers import MessageId
from domain.model.limits import MESSAGE_OVERHEAD_BYTES, PART_OVERHEAD_BYTES


class Role(Enum):
    """Who wrote a message. The operator's system prompt is never a message of a conversation."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    """Instructions of the client's developer, under the older of OpenAI's two names."""
    DEVELOPER = "developer"
    """The same under the newer name."""


class MessageStatus(Enum):
    """How a message ended; a message from a user is always ``FINISHED``."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


ImageType: TypeAlias = Literal["image/png", "image/jpeg", "image/webp", "image/gif"]

ImageDetail: TypeAlias = Literal["auto", "low", "high"]
"""How closely the model looks at an image, in OpenAI's words."""


class FinishReason(Enum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content-filter"
    TOOL_CALLS = "tool-calls"
    OTHER = "other"


@frozen(kw_only=True)
class Usage:
    """Tokens of one reply; None for a count that the model did not report.

    Attributes:
        cached_input_tokens: how many of ``input_tokens`` came from the cache of the model's server.
        reasoning_tokens: how many of ``output_tokens`` are reasoning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


@frozen(kw_only=True)
class PromptReport:
    """How much of what the model could have been sent for one reply it was sent.

    Attributes:
        messages_seen: how many messages of the conversation.
        messages_total: how many it would have been with room for all of them.
        dropped_options: the fields of ``ReplyOptions`` that the caller set, but that the model's
            server does not support.
    """

    messages_seen: int
    messages_total: int
    dropped_options: tuple[str, ...] = ()

    @property
    def sees_all(self) -> bool:
        """Whether no message was left out."""
        return self.messages_seen == self.messages_total

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return self.sees_all and not self.dropped_options


@frozen
class TextPart:
    """Plain text, exactly as written."""

    text: str


@frozen
class ReasoningPart:
    """The model's reasoning; never sent back to it."""

    text: str


NO_SERVER: Final = ""
"""The server of a call of a tool that does not exist; see ``ToolCallPart``."""


@frozen(kw_only=True)
class ToolCallPart:
    """A request from the model to run a tool.

    Attributes:
        arguments: JSON text exactly as the model wrote it; it may be malformed.
        server: the name of the tool server on which we run it; ``NO_SERVER`` if there is no such
            tool, so that we answer the call; None if the client runs it.
    """

    call_id: str
    name: str
    arguments: str
    server: str | None = None


@frozen(kw_only=True)
class ToolResultPart:
    """What a tool returned.

    Attributes:
        output: JSON text.
        failed: True if the tool reports an error.
    """

    call_id: str
    output: str
    failed: bool = False


@frozen(kw_only=True)
class ImagePart:
    """An image in a user's message; its content is stored with the message."""

    media_type: ImageType = field(validator=in_(get_args(ImageType)))
    data: bytes = field(repr=False)
    detail: ImageDetail = field(default="auto", validator=in_(get_args(ImageDetail)))

    @property
    def data_url(self) -> str:
        """The whole image as a URL (RFC 2397)."""
        return f"data:{self.media_type};base64,{b64encode(self.data).decode()}"


@frozen(kw_only=True)
class FilePart:
    """A reference to a file; the file itself is never stored here."""

    url: str
    media_type: str
    name: str | None = None


@frozen(kw_only=True)
class SourcePart:
    """A source of the reply, which the user can look up.

    Attributes:
        id: unique within the reply.
        url: an http or https URL where it can be read; None if it cannot be opened.
        excerpt: the beginning of the passage that the model was given; None if there is none.
    """

    id: str
    title: str
    url: str | None = None
    excerpt: str | None = None


@frozen
class StepMark:
    """Separates the parts of two model calls within one reply."""


@frozen
class UnknownPart:
    """A part of an unknown kind, stored unchanged as JSON text."""

    json: str


Part: TypeAlias = (
    TextPart
    | ReasoningPart
    | ToolCallPart
    | ToolResultPart
    | ImagePart
    | FilePart
    | SourcePart
    | StepMark
    | UnknownPart
)


def utf8_length(text: str) -> int:
    """Bytes of ``text`` in UTF-8; an unpaired surrogate counts as three."""
    return len(text.encode("utf-8", "surrogatepass"))


def text_of(parts: Iterable[Part]) -> str:
    """All plain text in the parts of a message; a blank line separates the texts of two steps."""
    text, is_separated = "", False
    for part in parts:
        if isinstance(part, StepMark):
            is_separated = bool(text)
        elif isinstance(part, TextPart) and part.text:
            text += ("\n\n" if is_separated else "") + part.text
            is_separated = False
    return text


def text_bytes(part: Part) -> int:
    """Bytes of all text in a part, names and ids included; an image has none."""
    match part:
        case TextPart(text) | ReasoningPart(text) | UnknownPart(text):
            return utf8_length(text)
        case ToolCallPart():
            return utf8_length(part.call_id + part.name + part.arguments + (part.server or ""))
        case ToolResultPart():
            return utf8_length(part.call_id + part.output)
        case FilePart():
            return utf8_length(part.url + part.media_type + (part.name or ""))
        case SourcePart():
            return utf8_length(part.id + part.title + (part.url or "") + (part.excerpt or ""))
        case ImagePart() | StepMark():
            return 0


def is_same_content(parts: Iterable[Part], others: Iterable[Part]) -> bool:
    """Whether the parts are the same, apart from those of unknown kinds."""
    first, second = (
        [part for part in some if not isinstance(part, UnknownPart)] for some in (parts, others)
    )
    return first == second


def image_bytes(parts: Iterable[Part]) -> int:
    """Bytes of all images among ``parts``."""
    return sum(len(part.data) for part in parts if isinstance(part, ImagePart))


def content_bytes(parts: Iterable[Part]) -> int:
    """Bytes of all text and all images in ``parts``."""
    parts = tuple(parts)
    return sum(map(text_bytes, parts)) + image_bytes(parts)


def counted_bytes(parts: Iterable[Part]) -> int:
    """Bytes of parts that count towards limits: their content, and an overhead for each."""
    parts = tuple(parts)
    return content_bytes(parts) + PART_OVERHEAD_BYTES * len(parts)


def _is_utc(_: object, __: object, value: datetime) -> None:
    if value.tzinfo is not UTC and value.utcoffset() != timedelta(0):
        raise ValueError("times must be aware and in UTC")


@frozen(kw_only=True)
class Message:
    """One message.

    Attributes:
        number: position in the conversation, from 1; never reused, even after a truncation.
        turn: number of the turn it belongs to; 0 if it belongs to none, such as a welcome.
        created_at: aware UTC.
        finish_reason, usage: as the model reported them for this reply; None otherwise.
        prompt_report: what was left out of this reply's prompt; None if nothing was.
        page_context: JSON text about the page that the user was on when they sent this message;
            None if the client sent none. It is never part of the user's words.
        hook_state_before: JSON text of the hook's state before this reply changed it, ``null`` if
            there was none; None if the reply did not change it.
    """

    id: MessageId
    number: int = field(validator=ge(1))
    turn: int = field(validator=ge(0))
    role: Role
    parts: tuple[Part, ...]
    created_at: datetime = field(validator=_is_utc)
    status: MessageStatus = MessageStatus.FINISHED
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    prompt_report: PromptReport | None = None
    page_context: str | None = None
    hook_state_before: str | None = field(default=None, repr=False)

    @property
    def is_instruction(self) -> bool:
        """Whether it instructs the model, instead of being a part of the dialogue."""
        return self.role in (Role.SYSTEM, Role.DEVELOPER)

    @property
    def text(self) -> str:
        """All its plain text, in order; a blank line separates the texts of two steps."""
        return text_of(self.parts)

    @property
    def lines(self) -> str:
        """The texts of its parts, each on a line of its own, as a person or a program sent them."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def counted_bytes(self) -> int:
        """Bytes of it that count towards limits, with the overheads.

        These are its content, its page context and the hook's state.
        """
        data = utf8_length((self.page_context or "") + (self.hook_state_before or ""))
        return MESSAGE_OVERHEAD_BYTES + data + counted_bytes(self.parts)

    @property
    def image_bytes(self) -> int:
        """Bytes of its images, which are part of ``counted_bytes``."""
        return image_bytes(self.parts)

    @cached_property
    def characters(self) -> CharacterCounts:
        """The characters that a model is sent: those of its text, and of its tools."""
        tools = (
            part.arguments if isinstance(part, ToolCallPart) else part.output
            for part in self.parts
            if isinstance(part, ToolCallPart | ToolResultPart)
        )
        return count_characters(self.text + "".join(tools))

    @property
    def open_tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tool calls for whose results we wait; the client has to send them."""
        answered = {part.call_id for part in self.parts if isinstance(part, ToolResultPart)}
        calls = (part for part in self.parts if isinstance(part, ToolCallPart))
        return tuple(call for call in calls if call.server is None and call.call_id not in answered)


def newest_page_context(messages: Sequence[Message]) -> str | None:
    """The page context of the newest user message, which the model sees only with that turn."""
    of_users = (message for message in reversed(messages) if message.role is Role.USER)
    newest = next(of_users, None)
    return None if newest is None else newest.page_context


def exchanges_of(messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
    """The messages in exchanges: each is a user message with everything up to the next one.

    Messages before the first user message belong to the first exchange.
    """
    questions = [i for i, message in enumerate(messages) if message.role is Role.USER]
    bounds = [0, *questions[1:], len(messages)] if messages else []
    return [messages[begin:end] for begin, end in pairwise(bounds)]
