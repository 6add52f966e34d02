"""Telling the rest of a stored reply to somebody who has heard its beginning.

What one turn of a conversation consisted of.
"""

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

_Spoken: TypeAlias = TextPart | ReasoningPart | ToolCallPart


def reply_of(messages: Sequence[Message], turn: Turn) -> Message | None:
    """The reply of the newest turn; absent while that is open, and when nothing was said."""
    last = messages[-1:]
    return last[0] if last and last[0].id == turn.reply_id and not turn.is_open else None


def end_of(conversation: Conversation, turn: Turn) -> TurnEnd:
    """How the newest turn, which has ended, is told to those who follow it."""
    if turn.status is not TurnStatus.FINISHED:
        outcome = Outcome(turn.status.value)
        return TurnEnd(outcome=outcome, error=turn.error, expires_at=conversation.expires_at)
    reply = reply_of(conversation.messages, turn)
    return TurnEnd(
        outcome=Outcome.FINISHED,
        finish_reason=reply.finish_reason if reply else None,
        usage=reply.usage if reply else None,
        expires_at=conversation.expires_at,
    )


def unheard(reply: Message, turn: Turn, heard: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces, one a part, that this turn's reply has behind those ``heard``.

    Empty when it does not begin with what was heard: then it is another reply.
    """
    spoken = tuple(_spoken(split_at_last_tool_result(reply)[1] if turn.continues else reply.parts))
    begun = assemble_parts(heard)
    if len(begun) > len(spoken) or not all(map(_begins, spoken, begun)):
        return ()
    lengths = [*(len(_words(part)) for part in begun), *[0] * (len(spoken) - len(begun))]
    return tuple(
        _piece(part, length)
        for part, length in zip(spoken, lengths, strict=True)
        if length < len(_words(part))
    )


def split_at_last_tool_result(reply: Message) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The parts up to the newest result of a tool, and those that a turn added after it."""
    results = (at for at, part in enumerate(reply.parts, 1) if isinstance(part, ToolResultPart))
    newest = max(results, default=0)
    return reply.parts[:newest], reply.parts[newest:]


def _spoken(parts: Iterable[Part]) -> Iterator[_Spoken]:
    return (part for part in parts if isinstance(part, TextPart | ReasoningPart | ToolCallPart))


def _words(part: Part) -> str:
    if isinstance(part, ToolCallPart):
        return part.arguments
    return part.text if isinstance(part, TextPart | ReasoningPart) else ""


def _begins(part: _Spoken, begun: Part) -> bool:
    if isinstance(part, ToolCallPart) and isinstance(begun, ToolCallPart):
        return part.call_id == begun.call_id and part.arguments.startswith(begun.arguments)
    return type(part) is type(begun) and _words(part).startswith(_words(begun))


def _piece(part: _Spoken, length: int) -> Piece:
    """What the part has behind so many characters."""
    if isinstance(part, ToolCallPart):
        more = part.arguments[length:]
        return ToolCallPiece(call_id=part.call_id, name=part.name, arguments=more)
    rest = part.text[length:]
    return TextPiece(rest) if isinstance(part, TextPart) else ReasoningPiece(rest)


@frozen(kw_only=True)
class ReadTurn:
    """One turn.

    Attributes:
        started_at: aware UTC; of an older turn that only results opened, when its reply was stored.
        before: all that was said before the reply, oldest first.
        reply: absent while the turn is open, or when nothing was said.
        status: where the turn stands.
        error: stable code of why it failed, as far as it is known.
        notes: what was kept beside its input, newest first.
    """

    number: int
    started_at: datetime
    before: tuple[Message, ...]
    reply: Message | None
    status: TurnStatus
    error: str | None
    notes: tuple[UnknownPart, ...]


def read_turn(conversation: Conversation, number: int) -> ReadTurn:
    """Turn ``number`` of a conversation that is loaded whole.

    Raises:
        TurnNotFound: nothing of it is there.
    """
    newest = conversation.turn if conversation.turn and conversation.turn.number == number else None
    own = [said for said in conversation.messages if said.turn == number]
    if number < 1 or not (own or (newest is not None and newest.is_open)):
        raise TurnNotFound
    reply = own[-1] if own and own[-1].role is Role.ASSISTANT else None
    end = _end_of(conversation, own[-1] if own else None, reply)
    before = conversation.messages[:end]
    status = newest.status if newest else _status(reply)
    return ReadTurn(
        number=number,
        started_at=newest.opened_at if newest else own[0].created_at,
        before=before,
        reply=reply,
        status=status,
        error=newest.error if newest else None,
        notes=_notes(before),
    )


def _end_of(conversation: Conversation, last: Message | None, reply: Message | None) -> int:
    if last is None:
        return len(conversation.messages)
    return conversation.messages.index(last) + (0 if reply else 1)


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
    """Those since the reply before, in which they stand behind what the model said."""
    found: list[UnknownPart] = []
    for said in reversed(before):
        found += [part for part in reversed(said.parts) if isinstance(part, UnknownPart)]
        if said.role is Role.ASSISTANT and said.turn:
            break
    return tuple(found)
