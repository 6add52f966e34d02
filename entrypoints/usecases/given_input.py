"""What a caller puts in, before it has its ids."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import SessionId
from domain.model.message import (
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.model.turn import RequestKey
from domain.model.wishes import NO_WISHES, Wishes
from domain.service.adding import Given
from ports.identifier_source import IdentifierSource


@frozen(kw_only=True)
class Input:
    """One thing said by somebody.

    Attributes:
        parts: of the assistant's side exactly one, of a user's all of the message.
    """

    role: Role
    parts: tuple[Part, ...]


@frozen(kw_only=True)
class NewInput:
    """What is put in.

    Attributes:
        session_id: the conversation it belongs to; absent begins a new one.
        after_turn: number of the turn it follows; absent for the newest.
        note: kept beside it.
        address: what limits are counted by.
        idempotency_key: the caller's own; absent without one.
        request: the same key as digests, absent with it.
    """

    inputs: Sequence[Input]
    address: str
    session_id: SessionId | None = None
    after_turn: int | None = None
    wishes: Wishes = NO_WISHES
    note: UnknownPart | None = None
    idempotency_key: str | None = None
    request: RequestKey | None = None


def with_ids(inputs: Sequence[Input], identifiers: IdentifierSource) -> tuple[Given, ...]:
    """The same with the ids that new messages will have."""
    return tuple(
        Given(id=identifiers.message_id(), role=one.role, parts=one.parts) for one in inputs
    )


def size_of(inputs: Sequence[Input]) -> int:
    """Bytes of UTF-8 that they add to what is stored."""
    return _size(part for one in inputs for part in one.parts)


def size_of_all(conversation: Conversation) -> int:
    """Bytes of UTF-8 of all that was said in it."""
    return _size(part for said in conversation.messages for part in said.parts)


def _size(parts: Iterable[Part]) -> int:
    return sum(len(_text_of(part).encode("utf-8", "surrogatepass")) for part in parts)


def _text_of(part: Part) -> str:
    match part:
        case TextPart(text) | ReasoningPart(text):
            return text
        case ToolCallPart():
            return part.name + part.arguments
        case ToolResultPart():
            return part.output
        case UnknownPart(json):
            return json
        case _:
            return ""
