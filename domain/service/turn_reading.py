"""What one turn of a conversation consisted of."""

from datetime import datetime

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import TurnNotFound
from domain.model.message import Message, MessageStatus, Role, UnknownPart
from domain.model.turn import TurnStatus


@frozen(kw_only=True)
class ReadTurn:
    """One turn.

    Attributes:
        began: aware UTC; of an older turn that only results opened, when its reply was stored.
        before: all that was said before the reply, oldest first.
        reply: absent while the turn is open, or when nothing was said.
        status: where the turn stands.
        error: stable code of why it failed, as far as it is known.
        notes: what was kept beside its input, newest first.
    """

    number: int
    began: datetime
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
        began=newest.opened_at if newest else own[0].created_at,
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
