"""A conversation without something that was in it, or only up to some point."""

from collections.abc import Sequence
from datetime import datetime
from itertools import dropwhile

from attrs import evolve

from domain.model.conversation import Conversation, cut
from domain.model.errors import MessageNotFound, OlderMessagesNeeded, TurnInProgress
from domain.model.identifiers import MessageId, SessionId, TurnId
from domain.model.message import (
    Message,
    Part,
    Role,
    StepMark,
    TextPart,
    ToolResultPart,
    UnknownPart,
)
from domain.model.turn import Turn, TurnStatus

_NOTHING = TextPart("")
"""Keeps the place of a part that was left out, so that those behind it keep theirs."""


def without_part(
    conversation: Conversation, message_id: MessageId, place: int | None
) -> Conversation:
    """The conversation without one part of a message, or, without a place, without all of it.

    The stay is left as it is. A summary that tells of the message goes as well.

    Raises:
        TurnInProgress: a reply is being written.
        MessageNotFound: there is no such message or part.
        OlderMessagesNeeded: it may precede what is loaded.
    """
    _check_idle(conversation)
    named = next((said for said in conversation.messages if said.id == message_id), None)
    if named is None:
        raise OlderMessagesNeeded if conversation.earlier else MessageNotFound
    kept = () if place is None else _without(named.parts, place)
    changed = evolve(named, parts=kept)
    messages = (changed if said is named else said for said in conversation.messages)
    left = tuple(said for said in messages if said is not changed or kept)
    return _not_summed_up(evolve(conversation, messages=left), named)


def without_turn(conversation: Conversation, number: int) -> Conversation:
    """The conversation without what was said and replied in one turn; the stay is left as it is.

    Raises:
        TurnInProgress: a reply is being written.
        MessageNotFound: nothing of such a turn is there.
        OlderMessagesNeeded: it may precede what is loaded.
    """
    _check_idle(conversation)
    gone = [said for said in conversation.messages if said.turn == number and number]
    if not gone or (conversation.earlier and gone[0] is conversation.messages[0]):
        raise OlderMessagesNeeded if conversation.earlier else MessageNotFound
    left = tuple(said for said in conversation.messages if said not in gone)
    return _not_summed_up(evolve(conversation, messages=left), gone[0])


def up_to_turn(
    conversation: Conversation, number: int, *, session_id: SessionId, turn_id: TurnId, at: datetime
) -> Conversation:
    """A new conversation that holds all of this one up to the end of turn ``number``.

    Raises:
        MessageNotFound: nothing of such a turn is there.
        TurnInProgress: its reply is still being written.
        OlderMessagesNeeded: something precedes what is loaded.
    """
    if conversation.earlier:
        raise OlderMessagesNeeded
    if conversation.open_turn is not None and conversation.open_turn.number == number:
        raise TurnInProgress(conversation.open_turn.id)
    newest = next((said for said in reversed(conversation.messages) if said.turn == number), None)
    if newest is None or number < 1:
        raise MessageNotFound
    shorter = cut(conversation, newest.number + 1)
    told = evolve(newest, parts=reply_parts(newest)) if newest.role is Role.ASSISTANT else newest
    ended = Turn(
        id=turn_id,
        number=number,
        reply_id=newest.id,
        opened_at=at,
        ended_at=at,
        status=TurnStatus.FINISHED,
    )
    return evolve(
        shorter,
        id=session_id,
        messages=(*shorter.messages[:-1], told),
        next_number=newest.number + 1,
        turn=ended,
        created_at=at,
        kept_since=at,
        metadata={},
    )


def reply_parts(reply: Message) -> tuple[Part, ...]:
    """What the model said, without what was put in after it."""
    later = (ToolResultPart, UnknownPart)
    backwards = dropwhile(lambda part: isinstance(part, later), reversed(reply.parts))
    return tuple(reversed(tuple(backwards)))


def described(conversation: Conversation, metadata: dict[str, str]) -> Conversation:
    """The conversation with other words of its client about it; the stay is left as it is."""
    return evolve(conversation, metadata=metadata)


def _check_idle(conversation: Conversation) -> None:
    if conversation.open_turn is not None:
        raise TurnInProgress(conversation.open_turn.id)


def _without(parts: Sequence[Part], place: int) -> tuple[Part, ...]:
    if not 0 <= place < len(parts) or parts[place] == _NOTHING:
        raise MessageNotFound
    kept = [*parts]
    kept[place] = _NOTHING
    while kept and kept[-1] in (_NOTHING, StepMark()):
        kept.pop()
    return tuple(kept)


def _not_summed_up(conversation: Conversation, gone: Message) -> Conversation:
    if conversation.summary is None or gone.number >= conversation.working_memory_from:
        return conversation
    return evolve(conversation, working_memory_from=1, summary=None)
