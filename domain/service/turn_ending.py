"""How a turn ends: ``finish``, ``interrupt``, ``fail`` by its own runner; ``settle`` by somebody
else after that runner died. All of them are idempotent by the turn's id.

Every end by the turn's own runner restarts the conversation's stay; settling does not.
"""  # noqa: D205 - the four steps are one list

from collections.abc import Iterable
from datetime import datetime

from attrs import evolve

from domain.model.conversation import Conversation, said, staying
from domain.model.errors import TurnSuperseded
from domain.model.identifiers import TurnId
from domain.model.message import FinishReason, Message, MessageStatus, Part, Role, StepMark, Usage
from domain.model.piece import Piece, put_together
from domain.model.turn import Turn, TurnStatus, TurnStep, stepped


def finish(
    conversation: Conversation,
    turn_id: TurnId,
    pieces: Iterable[Piece],
    at: datetime,
    *,
    reason: FinishReason,
    usage: Usage | None = None,
) -> Conversation:
    """The reply is whole.

    Raises:
        TurnSuperseded: the turn is not, or no longer, the open one.
    """
    ended = _ended(conversation, turn_id, TurnStep.FINISH, pieces, at)
    if ended is conversation:
        return conversation
    reply = evolve(ended.messages[-1], finish_reason=reason, usage=usage)
    return staying(evolve(ended, messages=(*ended.messages[:-1], reply)), at)


def interrupt(
    conversation: Conversation, turn_id: TurnId, pieces: Iterable[Piece], at: datetime
) -> Conversation:
    """The reply was stopped; the pieces so far stay, none leave no message.

    Raises:
        TurnSuperseded: the turn is not, or no longer, the open one.
    """
    ended = _ended(conversation, turn_id, TurnStep.INTERRUPT, pieces, at)
    return conversation if ended is conversation else staying(ended, at)


def fail(
    conversation: Conversation, turn_id: TurnId, pieces: Iterable[Piece], at: datetime, error: str
) -> Conversation:
    """The model failed; before its first piece the request key is free again for a retry.

    Raises:
        TurnSuperseded: the turn is not, or no longer, the open one.
    """
    heard = tuple(pieces)
    ended = _ended(conversation, turn_id, TurnStep.FAIL, heard, at, error=error)
    if ended is conversation or ended.turn is None:
        return conversation
    turn = ended.turn if heard else evolve(ended.turn, request=None)
    return staying(evolve(ended, turn=turn), at)


def settle(
    conversation: Conversation, turn_id: TurnId, pieces: Iterable[Piece], at: datetime
) -> Conversation:
    """Close what a dead process left open, with the pieces its log still has.

    The stay is left as it is: nobody spoke. Without a piece the turn has failed, and its request
    key is free again for a retry.

    Raises:
        TurnSuperseded: another turn has been opened since.
    """
    heard, turn = tuple(pieces), conversation.open_turn
    if heard or turn is None or turn.id != turn_id:
        return _ended(conversation, turn_id, TurnStep.SETTLE, heard, at)
    failed = stepped(evolve(turn, request=None), TurnStep.FAIL, at, "turn_abandoned")
    return _with_reply(evolve(conversation, turn=failed), failed, (), at)


def _ended(
    conversation: Conversation,
    turn_id: TurnId,
    step: TurnStep,
    pieces: Iterable[Piece],
    at: datetime,
    *,
    error: str | None = None,
) -> Conversation:
    if conversation.turn is None or conversation.turn.id != turn_id:
        raise TurnSuperseded
    turn = stepped(conversation.turn, step, at, error)
    if turn is conversation.turn:
        return conversation
    return _with_reply(evolve(conversation, turn=turn), turn, put_together(pieces), at)


def _with_reply(
    conversation: Conversation, turn: Turn, parts: tuple[Part, ...], at: datetime
) -> Conversation:
    if turn.continues:
        return _continued(conversation, turn, parts)
    if not parts and turn.status is not TurnStatus.FINISHED:
        return conversation
    reply = Message(
        id=turn.reply_id,
        number=conversation.next_number,
        turn=turn.number,
        role=Role.ASSISTANT,
        parts=parts,
        created_at=at,
        status=MessageStatus(turn.status.value),
    )
    return said(conversation, reply)


def _continued(conversation: Conversation, turn: Turn, parts: tuple[Part, ...]) -> Conversation:
    asked = conversation.messages[-1]
    marked = (StepMark(), *parts) if parts else ()
    status = MessageStatus(turn.status.value)
    reply = evolve(asked, parts=(*asked.parts, *marked), status=status, finish_reason=None)
    return evolve(conversation, messages=(*conversation.messages[:-1], reply))
