"""One utterance of a role, its content in typed parts."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TypeAlias

from attrs import field, frozen
from attrs.validators import ge

from domain.model.identifiers import MessageId


class Role(Enum):
    """Who spoke. The system prompt is the assistant profile's and never part of a conversation."""

    USER = "user"
    ASSISTANT = "assistant"


class MessageStatus(Enum):
    """How a message came to its end; a user's is always finished."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class FinishReason(Enum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content-filter"
    TOOL_CALLS = "tool-calls"
    OTHER = "other"


@frozen(kw_only=True)
class Usage:
    """What one reply cost the model, in tokens; a count the model did not tell is absent."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@frozen
class TextPart:
    """Plain text as said."""

    text: str


@frozen
class ReasoningPart:
    """What the model thought aloud; never sent back to it."""

    text: str


@frozen(kw_only=True)
class ToolCallPart:
    """The model asks its client to run a tool.

    Attributes:
        arguments: JSON text exactly as the model wrote it; it may be malformed.
    """

    call_id: str
    name: str
    arguments: str


@frozen(kw_only=True)
class ToolResultPart:
    """What a tool answered.

    Attributes:
        output: JSON text.
        failed: whether the tool reports an error.
    """

    call_id: str
    output: str
    failed: bool = False


@frozen(kw_only=True)
class FilePart:
    """A reference to a file; its bytes are never kept here."""

    url: str
    media_type: str
    name: str | None = None


@frozen
class StepMark:
    """Where another call of the model begins within one reply."""


@frozen
class UnknownPart:
    """A part of a kind not known here, kept without loss as JSON text."""

    json: str


Part: TypeAlias = (
    TextPart | ReasoningPart | ToolCallPart | ToolResultPart | FilePart | StepMark | UnknownPart
)


def _is_utc(_: object, __: object, value: datetime) -> None:
    if value.tzinfo is not UTC and value.utcoffset() != timedelta(0):
        raise ValueError("times are aware UTC")


@frozen(kw_only=True)
class Message:
    """One utterance.

    Attributes:
        number: position in the conversation's life, from 1; never used again after a cut.
        turn: number of the turn it came with; 0 for a welcome.
        created_at: aware UTC.
        finish_reason, usage: of a reply; absent otherwise, or when the model did not tell.
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

    @property
    def text(self) -> str:
        """All of its plain text, in order."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def open_tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The calls that have no result yet."""
        answered = {part.call_id for part in self.parts if isinstance(part, ToolResultPart)}
        calls = (part for part in self.parts if isinstance(part, ToolCallPart))
        return tuple(call for call in calls if call.call_id not in answered)
