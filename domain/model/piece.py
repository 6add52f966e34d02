"""What a model streams, and how a reply is put together from it."""

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
)


@frozen
class TextPiece:
    """More of the reply's text."""

    text: str


@frozen
class ReasoningPiece:
    """More of what the model thinks aloud."""

    text: str


@frozen(kw_only=True)
class ToolCallPiece:
    """More of a tool call: its first piece names the tool, all carry more of the arguments."""

    call_id: str
    name: str
    arguments: str


Piece: TypeAlias = TextPiece | ReasoningPiece | ToolCallPiece


@frozen(kw_only=True)
class ModelFinished:
    """The model's last word; nothing follows it."""

    reason: FinishReason
    usage: Usage | None = None


@frozen
class NumberedPiece:
    """A piece with its place in the turn, counted from 1: what a cursor points at."""

    number: int
    piece: Piece


def size_in_bytes(piece: Piece) -> int:
    """How much text a piece carries, in bytes of UTF-8."""
    text = piece.arguments if isinstance(piece, ToolCallPiece) else piece.text
    return len(text.encode("utf-8", "surrogatepass"))


def counted_bytes(piece: Piece) -> int:
    """How much a piece counts: all it carries, in bytes of UTF-8, and at least one."""
    names = piece.call_id + piece.name if isinstance(piece, ToolCallPiece) else ""
    return max(1, size_in_bytes(piece) + len(names.encode("utf-8", "surrogatepass")))


def assemble_parts(pieces: Iterable[Piece]) -> tuple[Part, ...]:
    """The parts of a message that consists of ``pieces``.

    Neighbouring pieces of one kind become one part; the pieces of one tool call do so even when
    those of another call stand between them.
    """
    runs: list[list[Piece]] = []
    for piece in pieces:
        run = _run_of(runs, piece)
        if run is None:
            runs.append([piece])
        else:
            run.append(piece)
    return tuple(_part(run) for run in runs)


def _run_of(runs: list[list[Piece]], piece: Piece) -> list[Piece] | None:
    if isinstance(piece, ToolCallPiece):
        return next((run for run in runs if _same_call(run[0], piece)), None)
    return runs[-1] if runs and type(runs[-1][0]) is type(piece) else None


def _same_call(first: Piece, piece: ToolCallPiece) -> bool:
    return isinstance(first, ToolCallPiece) and first.call_id == piece.call_id


def _part(run: list[Piece]) -> Part:
    first = run[0]
    if isinstance(first, ToolCallPiece):
        arguments = "".join(piece.arguments for piece in run if isinstance(piece, ToolCallPiece))
        return ToolCallPart(call_id=first.call_id, name=first.name, arguments=arguments)
    text = "".join(piece.text for piece in run if not isinstance(piece, ToolCallPiece))
    return TextPart(text) if isinstance(first, TextPiece) else ReasoningPart(text)
