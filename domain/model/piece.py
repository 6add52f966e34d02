"""The pieces of a reply that is being written, and how the reply is assembled from them."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from attrs import frozen

from domain.model.message import (
    FinishReason,
    Part,
    ReasoningPart,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
    text_bytes,
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
    """The next part of a tool call's arguments.

    Every piece repeats the call's id, the tool's name and the ``server``; see ``ToolCallPart``.
    """

    call_id: str
    name: str
    arguments: str
    server: str | None = None


@frozen
class ToolResultPiece:
    """The whole result of a tool that we ran."""

    result: ToolResultPart


@frozen
class SourcePiece:
    """A source of the reply."""

    source: SourcePart


@frozen
class StepPiece:
    """The end of one step of the reply, and the beginning of the next one."""


@frozen
class StatePiece:
    """The hook's state after this turn, as JSON text; None if it has none. Not a part of the reply.

    It is logged with the reply, so that it is not lost if the process dies.
    """

    state: str | None


ModelPiece: TypeAlias = TextPiece | ReasoningPiece | ToolCallPiece
"""What a model writes."""

Piece: TypeAlias = ModelPiece | ToolResultPiece | SourcePiece | StepPiece | StatePiece


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
        case ToolResultPiece(part) | SourcePiece(part):
            return text_bytes(part)
        case StatePiece(state):
            return utf8_length(state or "")
        case StepPiece():
            return 0


def begins_another_part(piece: Piece, previous: Piece) -> bool:
    """Whether ``piece``, which follows ``previous``, belongs to another part of the reply."""
    if isinstance(piece, TextPiece | ReasoningPiece):
        return type(piece) is not type(previous)
    if isinstance(piece, ToolCallPiece) and isinstance(previous, ToolCallPiece):
        return piece.call_id != previous.call_id
    return True


def has_content(pieces: Iterable[Piece]) -> bool:
    """Whether there is more than sources, step marks and a hook state: these alone are no reply."""
    return any(not isinstance(piece, SourcePiece | StepPiece | StatePiece) for piece in pieces)


def assemble_parts(pieces: Iterable[Piece]) -> tuple[Part, ...]:
    """The parts of a message that consists of ``pieces``.

    Neighbouring pieces of text or reasoning become one part. The pieces of one tool call become one
    part even if there are pieces of other calls between them. Any other piece is a part of its own,
    except for the hook's state, which is none. Some models use the same call ids again in each
    step, so the pieces of one call are in one step.
    """
    runs: list[list[Piece]] = []
    calls: dict[str, list[Piece]] = {}
    for piece in pieces:
        if isinstance(piece, TextPiece | ReasoningPiece):
            run = runs[-1] if runs and type(runs[-1][0]) is type(piece) else None
        elif isinstance(piece, StatePiece):
            continue
        else:
            run = calls.get(piece.call_id) if isinstance(piece, ToolCallPiece) else None
        if run is None:
            run = []
            runs.append(run)
            if isinstance(piece, ToolCallPiece):
                calls[piece.call_id] = run
            elif isinstance(piece, StepPiece):
                calls.clear()
        run.append(piece)
    return tuple(_part(run) for run in runs)


def _part(run: Sequence[Piece]) -> Part:
    match run[0]:
        case ToolCallPiece() as first:
            arguments = "".join(call.arguments for call in run if isinstance(call, ToolCallPiece))
            return ToolCallPart(
                call_id=first.call_id, name=first.name, arguments=arguments, server=first.server
            )
        case TextPiece():
            return TextPart("".join(piece.text for piece in run if isinstance(piece, TextPiece)))
        case ReasoningPiece():
            texts = (piece.text for piece in run if isinstance(piece, ReasoningPiece))
            return ReasoningPart("".join(texts))
        case ToolResultPiece(part) | SourcePiece(part):
            return part
        case StepPiece() | StatePiece():
            return StepMark()
