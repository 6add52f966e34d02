"""The pieces that a model streams, and how a reply is assembled from them."""

from collections.abc import Iterable
from typing import TypeAlias

from attrs import frozen

from domain.model.message import (
    FinishReason,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    Usage,
    utf8_length,
)


@frozen
class TextPiece:
    """The next part of the reply's text."""

    text: str


@frozen
class ReasoningPiece:
    """The next part of the model's reasoning."""

    text: str


@frozen(kw_only=True)
class ToolCallPiece:
    """The next part of a tool call's arguments; every piece repeats the call's id and tool name."""

    call_id: str
    name: str
    arguments: str


Piece: TypeAlias = TextPiece | ReasoningPiece | ToolCallPiece


@frozen(kw_only=True)
class ModelFinished:
    """The end of the model's stream; nothing follows it.

    Attributes:
        dropped_options: see ``PromptReport``.
    """

    reason: FinishReason
    usage: Usage | None = None
    dropped_options: tuple[str, ...] = ()


@frozen
class NumberedPiece:
    """A piece and its position in the turn, counted from 1; a cursor names this position."""

    number: int
    piece: Piece


def piece_bytes(piece: Piece) -> int:
    """Bytes of all text in a piece, name and id included, as ``text_bytes`` counts a part."""
    match piece:
        case TextPiece(text) | ReasoningPiece(text):
            return utf8_length(text)
        case ToolCallPiece():
            return utf8_length(piece.call_id + piece.name + piece.arguments)


def begins_another_part(piece: Piece, previous: Piece) -> bool:
    """Whether ``piece``, which follows ``previous``, belongs to another part of the reply."""
    if isinstance(piece, ToolCallPiece) and isinstance(previous, ToolCallPiece):
        return piece.call_id != previous.call_id
    return type(piece) is not type(previous)


def assemble_parts(pieces: Iterable[Piece]) -> tuple[Part, ...]:
    """The parts of a message that consists of ``pieces``.

    Neighbouring pieces of one kind become one part. The pieces of one tool call become one part
    even if there are pieces of other calls between them.
    """
    runs: list[list[Piece]] = []
    calls: dict[str, list[Piece]] = {}
    for piece in pieces:
        if isinstance(piece, ToolCallPiece):
            run = calls.get(piece.call_id)
        else:
            run = runs[-1] if runs and type(runs[-1][0]) is type(piece) else None
        if run is None:
            run = []
            runs.append(run)
            if isinstance(piece, ToolCallPiece):
                calls[piece.call_id] = run
        run.append(piece)
    return tuple(_part(run) for run in runs)


def _part(run: list[Piece]) -> Part:
    first = run[0]
    if isinstance(first, ToolCallPiece):
        arguments = "".join(piece.arguments for piece in run if isinstance(piece, ToolCallPiece))
        return ToolCallPart(call_id=first.call_id, name=first.name, arguments=arguments)
    text = "".join(piece.text for piece in run if not isinstance(piece, ToolCallPiece))
    return TextPart(text) if isinstance(first, TextPiece) else ReasoningPart(text)
