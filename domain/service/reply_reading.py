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
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.model.piece import Piece, ReasoningPiece, TextPiece, ToolCallPiece, assemble_parts
from domain.model.turn import Outcome, Turn, TurnEnd, TurnStatus
from domain.service.cut_replies import split_at_cut, text_and_others

_ModelPart: TypeAlias = TextPart | ReasoningPart | ToolCallPart


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
    parts = tuple(_model_parts(split_before_turn(reply, turn)[1]))
    seen = assemble_parts(pieces)
    if turn.cut_at is not None:
        parts, seen = _text_first(parts), _text_first(seen)
    if len(seen) > len(parts) or not all(map(_begins_with, parts, seen)):
        return ()
    lengths = [*(len(_text_of(part)) for part in seen), *[0] * (len(parts) - len(seen))]
    return tuple(
        _piece_after(part, length)
        for part, length in zip(parts, lengths, strict=True)
        if length < len(_text_of(part))
    )


def split_before_turn(reply: Message, turn: Turn) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The parts that the reply had before this turn, and those that the turn added."""
    if not turn.continues:
        return (), reply.parts
    if turn.cut_at is not None:
        return split_at_cut(reply.parts, turn.cut_at)
    return _split_at_last_tool_result(reply)


def _split_at_last_tool_result(reply: Message) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The parts up to the last tool result, and the parts that a turn added after it."""
    results = (i for i, part in enumerate(reply.parts, 1) if isinstance(part, ToolResultPart))
    split = max(results, default=0)
    return reply.parts[:split], reply.parts[split:]


def pieces_of(parts: Iterable[Part]) -> tuple[Piece, ...]:
    """What the model wrote in ``parts``, with one piece per part."""
    return tuple(_piece_after(part, 0) for part in _model_parts(parts) if _text_of(part))


def _model_parts(parts: Iterable[Part]) -> Iterator[_ModelPart]:
    return (part for part in parts if isinstance(part, TextPart | ReasoningPart | ToolCallPart))


def _text_first(parts: Iterable[Part]) -> tuple[_ModelPart, ...]:
    """One part with all text, which may be empty, and then the other parts of the model."""
    text, others = text_and_others(parts)
    return (TextPart(text), *_model_parts(others))


def _text_of(part: Part) -> str:
    if isinstance(part, ToolCallPart):
        return part.arguments
    return part.text if isinstance(part, TextPart | ReasoningPart) else ""


def _begins_with(part: _ModelPart, seen: Part) -> bool:
    if isinstance(part, ToolCallPart) and isinstance(seen, ToolCallPart):
        return part.call_id == seen.call_id and part.arguments.startswith(seen.arguments)
    return type(part) is type(seen) and _text_of(part).startswith(_text_of(seen))


def _piece_after(part: _ModelPart, length: int) -> Piece:
    """The rest of the part after its first ``length`` characters."""
    rest = _text_of(part)[length:]
    match part:
        case ToolCallPart():
            return ToolCallPiece(call_id=part.call_id, name=part.name, arguments=rest)
        case TextPart():
            return TextPiece(rest)
        case ReasoningPart():
            return ReasoningPiece(rest)


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
