"""What a caller puts in, before it has its ids."""

from collections.abc import Sequence

from attrs import frozen

from domain.model.message import (
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
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


def with_ids(inputs: Sequence[Input], identifiers: IdentifierSource) -> tuple[Given, ...]:
    """The same with the ids that new messages will have."""
    return tuple(
        Given(id=identifiers.message_id(), role=one.role, parts=one.parts) for one in inputs
    )


def size_of(inputs: Sequence[Input]) -> int:
    """Bytes of UTF-8 that they add to what is stored."""
    texts = (_text_of(part) for one in inputs for part in one.parts)
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


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
