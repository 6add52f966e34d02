"""Reads turns from a stored conversation: their pieces, their end, their input and reply."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import TurnNotFound
from domain.model.message import (
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.model.piece import (
    Piece,
    ReasoningPiece,
    SourcePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
    assemble_parts,
)
from domain.model.turn import Outcome, Turn, TurnEnd, TurnStatus
from domain.service.cut_replies import split_at_cut, text_and_others
from domain.service.server_calls import server_results

_WrittenPart: TypeAlias = (
    TextPart | ReasoningPart | ToolCallPart | ToolResultPart | SourcePart | StepMark
)
"""What pieces become; a tool result only if we ran the tool."""


def reply_of(messages: Sequence[Message], turn: Turn) -> Message | None:
    """The reply of the newest turn, ``turn``; None while it is open or if it has no reply."""
    last = messages[-1] if messages else None
    return last if last and last.id == turn.reply_id and not turn.is_open else None


def end_of(conversation: Conversation, turn: Turn) -> TurnEnd:
    """How the newest turn ended, as its followers see it; ``turn`` must have ended."""
    reply = reply_of(conversation.messages, turn)
    is_finished = turn.status is TurnStatus.FINISHED
    return TurnEnd(
        outcome=Outcome(turn.status.value),
        finish_reason=reply.finish_reason if reply and is_finished else None,
        usage=reply.usage if reply and is_finished else None,
        error=turn.error,
        prompt_report=reply.prompt_report if reply else None,
        expires_at=conversation.expires_at,
    )


def unheard(reply: Message, turn: Turn, pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The rest of this turn's reply after ``pieces``, with one piece per part.

    Empty if the reply does not begin with ``pieces``: they belong to another reply.
    """
    parts = _written_parts(_added_by(turn, reply))
    seen = _written_parts(assemble_parts(pieces))
    if turn.cut_at is not None:
        parts, seen = _text_first(parts), _text_first(seen)
    if len(seen) > len(parts) or not all(map(_begins_with, parts, seen)):
        return ()
    begun = (
        _piece_after(part, len(_text_of(before)))
        for part, before in zip(parts, seen, strict=False)
        if len(_text_of(before)) < len(_text_of(part))
    )
    return (*begun, *_pieces(parts[len(seen) :]))


def split_before_turn(reply: Message, turn: Turn) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The parts that the reply had before this turn, and those that the turn added."""
    if not turn.continues:
        return (), reply.parts
    if turn.cut_at is not None:
        return split_at_cut(reply.parts, turn.cut_at)
    split = turn.parts_before
    if split is None:
        # Older releases did not store it; then only clients ran tools.
        results = (i for i, part in enumerate(reply.parts, 1) if isinstance(part, ToolResultPart))
        split = max(results, default=0)
    return reply.parts[:split], reply.parts[split:]


def _added_by(turn: Turn, reply: Message) -> tuple[Part, ...]:
    """The parts that the turn's pieces became, without the mark that separates them."""
    added = split_before_turn(reply, turn)[1]
    return added[1:] if added[:1] == (StepMark(),) else added


def pieces_of(parts: Sequence[Part]) -> tuple[Piece, ...]:
    """What was streamed of ``parts``, with one piece per part.

    Results of tools that the client ran are left out, and so are empty texts.
    """
    return tuple(piece for _, piece in indexed_pieces(parts))


def indexed_pieces(parts: Sequence[Part]) -> Iterator[tuple[int, Piece]]:
    """As ``pieces_of``, each piece with the index of its part."""
    return ((index, _piece_after(part, 0)) for index, part in _written(parts) if _has_piece(part))


def _pieces(parts: Iterable[_WrittenPart]) -> tuple[Piece, ...]:
    return tuple(_piece_after(part, 0) for part in parts if _has_piece(part))


def _has_piece(part: _WrittenPart) -> bool:
    return bool(_text_of(part)) or not isinstance(part, TextPart | ReasoningPart)


def _written_parts(parts: Sequence[Part]) -> tuple[_WrittenPart, ...]:
    return tuple(part for _, part in _written(parts))


def _written(parts: Sequence[Part]) -> Iterator[tuple[int, _WrittenPart]]:
    results = set(server_results(parts).values())
    for index, part in enumerate(parts):
        if isinstance(part, TextPart | ReasoningPart | ToolCallPart | SourcePart | StepMark) or (
            isinstance(part, ToolResultPart) and index in results
        ):
            yield index, part


def _text_first(parts: Iterable[Part]) -> tuple[_WrittenPart, ...]:
    """One part with the text of the first model call, which may be empty, and all other parts."""
    text, others = text_and_others(parts)
    return (TextPart(text), *_written_parts(others))


def _text_of(part: _WrittenPart) -> str:
    if isinstance(part, ToolCallPart):
        return part.arguments
    return part.text if isinstance(part, TextPart | ReasoningPart) else ""


def _begins_with(part: _WrittenPart, seen: _WrittenPart) -> bool:
    if isinstance(part, ToolCallPart) and isinstance(seen, ToolCallPart):
        return part.call_id == seen.call_id and part.arguments.startswith(seen.arguments)
    if isinstance(part, TextPart | ReasoningPart):
        return type(part) is type(seen) and _text_of(part).startswith(_text_of(seen))
    return part == seen


def _piece_after(part: _WrittenPart, length: int) -> Piece:
    """The rest of the part after its first ``length`` characters."""
    match part:
        case ToolCallPart():
            rest = part.arguments[length:]
            return ToolCallPiece(
                call_id=part.call_id, name=part.name, arguments=rest, server=part.server
            )
        case TextPart(text):
            return TextPiece(text[length:])
        case ReasoningPart(text):
            return ReasoningPiece(text[length:])
        case ToolResultPart():
            return ToolResultPiece(part)
        case SourcePart():
            return SourcePiece(part)
        case StepMark():
            return StepPiece()


@frozen(kw_only=True)
class ReadTurn:
    """One turn of a stored conversation.

    Attributes:
        started_at: aware UTC; for an older turn without user input, when its reply was stored.
        before: all loaded messages before the reply, oldest first.
        reply: None while the turn is open, or if it has no reply.
        status: the state of the turn.
        error: stable code of its failure; None if it did not fail, or is not the newest turn.
        notes: the unknown parts stored with its input, newest first.
    """

    number: int
    started_at: datetime
    before: tuple[Message, ...]
    reply: Message | None
    status: TurnStatus
    error: str | None
    notes: tuple[UnknownPart, ...]


def has_turn_loaded(conversation: Conversation, number: int) -> bool:
    """Whether all messages of turn ``number`` are loaded, and the reply before them."""
    return not conversation.earlier or any(
        message.role is Role.ASSISTANT and 0 < message.turn < number
        for message in conversation.messages
    )


def read_turn(conversation: Conversation, number: int) -> ReadTurn:
    """Turn ``number`` of a conversation; ``has_turn_loaded`` must be true.

    Raises:
        TurnNotFound: nothing of the turn is stored.
    """
    newest = conversation.turn if conversation.turn and conversation.turn.number == number else None
    messages = [message for message in conversation.messages if message.turn == number]
    if number < 1 or not (messages or (newest is not None and newest.is_open)):
        raise TurnNotFound
    last = messages[-1] if messages else None
    reply = last if last is not None and last.role is Role.ASSISTANT else None
    before = _messages_before_reply(conversation, last, reply)
    return ReadTurn(
        number=number,
        started_at=newest.opened_at if newest else messages[0].created_at,
        before=before,
        reply=reply,
        status=newest.status if newest else _status(reply),
        error=newest.error if newest else None,
        notes=_notes(before),
    )


def _messages_before_reply(
    conversation: Conversation, last: Message | None, reply: Message | None
) -> tuple[Message, ...]:
    if last is None:
        return conversation.messages
    index = conversation.messages.index(last)
    return conversation.messages[: index if reply else index + 1]


def _status(reply: Message | None) -> TurnStatus:
    if reply is None:
        return TurnStatus.INTERRUPTED
    by_status = {
        MessageStatus.FINISHED: TurnStatus.FINISHED,
        MessageStatus.INTERRUPTED: TurnStatus.INTERRUPTED,
        MessageStatus.FAILED: TurnStatus.FAILED,
    }
    return by_status[reply.status]


def _notes(before: tuple[Message, ...]) -> tuple[UnknownPart, ...]:
    """The notes in ``before``, from the previous reply onwards, newest first."""
    notes: list[UnknownPart] = []
    for message in reversed(before):
        notes += [part for part in reversed(message.parts) if isinstance(part, UnknownPart)]
        if message.role is Role.ASSISTANT and message.turn:
            break
    return tuple(notes)
