"""What is put into a conversation as a list: by itself, or as the input of a turn.

What a user says becomes a message. What belongs to the assistant's side (its words, its calls, what
tools answered) joins the assistant's message before it, so that calls stay with their results, and
everything can be read in the order in which it was put in.

A conversation without something that was in it, or only up to some point.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import dropwhile, takewhile

from attrs import evolve, frozen

from domain.model.conversation import Conversation, truncated, with_message, with_retention_from
from domain.model.errors import (
    ConversationTooLarge,
    InvalidInput,
    MessageNotFound,
    NothingToAnswer,
    OlderMessagesNeeded,
    TurnInProgress,
)
from domain.model.identifiers import MessageId, SessionId, TurnId
from domain.model.limits import MAX_CONVERSATION_BYTES
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
from domain.service.turn_lifecycle import NewTurn


@frozen(kw_only=True)
class NewItem:
    """One thing to be put in.

    Attributes:
        id: of the message it becomes, if it becomes one of its own.
        parts: of an assistant's exactly one.
    """

    id: MessageId
    role: Role
    parts: tuple[Part, ...]


def append_items(
    conversation: Conversation, given: Sequence[NewItem], at: datetime
) -> Conversation:
    """The conversation with ``given`` at its end, outside any turn; its stay is restarted.

    Raises:
        TurnInProgress: a reply is being written, whose place would be unclear.
        InvalidInput: ``tool_call_not_found``, a result of a call that is not waiting for one.
        ConversationTooLarge: it has reached its bound.
    """
    if conversation.open_turn is not None:
        raise TurnInProgress(conversation.open_turn.id)
    longer = _with_all(conversation, given, turn=0, at=at)
    if sum(map(_weight, longer.messages)) > MAX_CONVERSATION_BYTES:
        raise ConversationTooLarge
    return with_retention_from(longer, at)


def open_turn_with_items(
    conversation: Conversation,
    new_turn: NewTurn,
    given: Sequence[NewItem],
    note: UnknownPart | None = None,
) -> Conversation:
    """``given`` opens a turn; ``note`` is kept with the last message before the reply.

    Idempotent by the turn's id. What is put in again after a turn that failed without a piece is
    there already, and belongs to the new turn.

    Raises:
        TurnInProgress: another turn is open.
        NothingToAnswer: nothing was ever said.
        InvalidInput: ``tool_call_not_found``, a result of a call that is not waiting for one.
    """
    before = conversation.turn
    if before is not None and before.id == new_turn.turn_id:
        return conversation
    if before is not None and before.is_open:
        raise TurnInProgress(before.id)
    number = 1 if before is None else before.number + 1
    if before is not None and repeats_failed_items(conversation, given):
        longer = _retry_failed_items(conversation, before.number, number)
    else:
        longer = _with_all(conversation, given, turn=number, at=new_turn.at)
    if not longer.messages:
        raise NothingToAnswer
    noted = longer if note is None else _extended(longer, note)
    turn = Turn(
        id=new_turn.turn_id,
        number=number,
        reply_id=new_turn.reply_id,
        opened_at=new_turn.at,
        idempotency=new_turn.idempotency,
    )
    return with_retention_from(evolve(noted, turn=turn), new_turn.at)


def repeats_failed_items(conversation: Conversation, given: Sequence[NewItem]) -> bool:
    """Whether the newest turn brought exactly ``given`` and failed before its first piece."""
    turn = conversation.turn
    if turn is None or turn.status is not TurnStatus.FAILED:
        return False
    there = [
        (said.role, part) if said.role is Role.ASSISTANT or said.turn == turn.number else None
        for said in conversation.messages
        for part in said.parts
        if not isinstance(part, UnknownPart | StepMark)
    ]
    wanted = [(one.role, part) for one in given for part in one.parts]
    return bool(wanted) and there[-len(wanted) :] == wanted


def _with_all(
    conversation: Conversation, given: Sequence[NewItem], *, turn: int, at: datetime
) -> Conversation:
    for one in given:
        conversation = _with_one(conversation, one, turn, at)
    return conversation


def _with_one(conversation: Conversation, given: NewItem, turn: int, at: datetime) -> Conversation:
    if given.role is Role.USER:
        return _with_message(conversation, given, turn, at)
    [part] = given.parts
    last = conversation.messages[-1] if conversation.messages else None
    if isinstance(part, ToolResultPart):
        return _with_result(conversation, last, part)
    if last is None or last.role is Role.USER or last.turn:
        # Not counted among a turn's messages: only what the model said is its reply.
        return _with_message(conversation, given, 0, at)
    mark = (StepMark(),) if _begins_a_step(last.parts, part) else ()
    return _extended(conversation, *mark, part)


def _with_result(
    conversation: Conversation, last: Message | None, result: ToolResultPart
) -> Conversation:
    if last is not None and result in last.parts:
        # A retry, after the model failed: it is known already.
        return conversation
    waiting = {call.call_id for call in last.open_tool_calls} if last else set()
    if result.call_id not in waiting:
        why = "No tool call is waiting for this result."
        raise InvalidInput("tool_call_not_found", why, field="input")
    return _extended(conversation, result)


def _retry_failed_items(conversation: Conversation, failed: int, number: int) -> Conversation:
    """What the ``failed`` turn brought belongs to turn ``number``; its note is gone."""
    messages = [
        evolve(said, turn=number) if said.turn == failed else said for said in conversation.messages
    ]
    last = messages[-1]
    notes = tuple(takewhile(lambda part: isinstance(part, UnknownPart), reversed(last.parts)))
    messages[-1] = evolve(last, parts=last.parts[: len(last.parts) - len(notes)])
    return evolve(conversation, messages=tuple(messages))


def _with_message(
    conversation: Conversation, given: NewItem, turn: int, at: datetime
) -> Conversation:
    message = Message(
        id=given.id,
        number=conversation.next_number,
        turn=turn,
        role=given.role,
        parts=given.parts,
        created_at=at,
    )
    return with_message(conversation, message)


def _extended(conversation: Conversation, *parts: Part) -> Conversation:
    *before, last = conversation.messages
    longer = evolve(last, parts=(*last.parts, *parts))
    return evolve(conversation, messages=(*before, longer))


def _begins_a_step(parts: Sequence[Part], part: Part) -> bool:
    """Results end a step of the model; two texts in one step would run into each other."""
    step = tuple(takewhile(lambda one: not isinstance(one, StepMark), reversed(parts)))
    ending = (ToolResultPart, TextPart) if isinstance(part, TextPart) else (ToolResultPart,)
    return any(isinstance(one, ending) for one in step)


def _weight(message: Message) -> int:
    return sum(len(str(part).encode("utf-8", "surrogatepass")) for part in message.parts)


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
    return _without_stale_summary(evolve(conversation, messages=left), named)


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
    return _without_stale_summary(evolve(conversation, messages=left), gone[0])


def branch_at_turn(
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
    shorter = truncated(conversation, newest.number + 1)
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
        retained_since=at,
        metadata={},
    )


def reply_parts(reply: Message) -> tuple[Part, ...]:
    """What the model said, without what was put in after it."""
    later = (ToolResultPart, UnknownPart)
    backwards = dropwhile(lambda part: isinstance(part, later), reversed(reply.parts))
    return tuple(reversed(tuple(backwards)))


def with_metadata(conversation: Conversation, metadata: dict[str, str]) -> Conversation:
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


def _without_stale_summary(conversation: Conversation, gone: Message) -> Conversation:
    if conversation.summary is None or gone.number >= conversation.working_memory_from:
        return conversation
    return evolve(conversation, working_memory_from=1, summary=None)
