"""Edits items: adds them, deletes them, and branches a conversation at a turn.

A user's item becomes a message. An item of the assistant (text, a tool call or a tool result) joins
the assistant's message before it, so that calls stay with their results and all items keep their
order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import dropwhile, takewhile
from typing import Final

from attrs import evolve, frozen

from domain.model.conversation import (
    Conversation,
    message_of,
    truncated,
    with_message,
    with_retention_from,
)
from domain.model.errors import (
    InvalidInput,
    MessageNotFound,
    NothingToAnswer,
    OlderMessagesNeeded,
)
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
from domain.service.turn_lifecycle import NewTurn, opened_by, require_no_open_turn, with_open_turn


@frozen(kw_only=True)
class NewItem:
    """An item to add.

    Attributes:
        id: the id of the new message, if the item becomes a message of its own.
        parts: all parts of a user's message; exactly one part for the assistant.
    """

    id: MessageId
    role: Role
    parts: tuple[Part, ...]


# Adding


def append_items(
    conversation: Conversation, items: Sequence[NewItem], at: datetime
) -> Conversation:
    """The conversation with ``items`` at its end, outside any turn; its retention is restarted.

    Raises:
        TurnInProgress: a reply is being written.
        InvalidInput: ``tool_call_not_found`` if a result in ``items`` has no open tool call.
    """
    require_no_open_turn(conversation)
    return with_retention_from(_with_items(conversation, items, turn=0, at=at), at)


def open_turn_with_items(
    conversation: Conversation,
    new_turn: NewTurn,
    items: Sequence[NewItem],
    note: UnknownPart | None = None,
) -> Conversation:
    """The conversation with ``items`` and a new turn; ``note`` joins the last message.

    If the newest turn had the same items and failed before its first piece, they are not added
    again: they move to the new turn.

    Raises:
        TurnInProgress: another turn is open.
        NothingToAnswer: there are no messages.
        InvalidInput: ``tool_call_not_found`` if a result in ``items`` has no open tool call.
    """
    if opened_by(conversation, new_turn):
        return conversation
    require_no_open_turn(conversation)
    if repeats_failed_items(conversation, items):
        longer = _retry_failed_items(conversation)
    else:
        turn = conversation.next_turn_number
        longer = _with_items(conversation, items, turn=turn, at=new_turn.at)
    if not longer.messages:
        raise NothingToAnswer
    return with_open_turn(longer if note is None else _extended(longer, note), new_turn)


def repeats_failed_items(conversation: Conversation, items: Sequence[NewItem]) -> bool:
    """Whether the newest turn had exactly these items and failed before its first piece."""
    turn = conversation.turn
    if turn is None or turn.status is not TurnStatus.FAILED:
        return False
    stored = [
        (message.role, part)
        if message.role is Role.ASSISTANT or message.turn == turn.number
        else None
        for message in conversation.messages
        for part in message.parts
        if not isinstance(part, UnknownPart | StepMark)
    ]
    sent = [(item.role, part) for item in items for part in item.parts]
    return bool(sent) and stored[-len(sent) :] == sent


def _with_items(
    conversation: Conversation, items: Sequence[NewItem], *, turn: int, at: datetime
) -> Conversation:
    for item in items:
        conversation = _with_item(conversation, item, turn, at)
    return conversation


def _with_item(conversation: Conversation, item: NewItem, turn: int, at: datetime) -> Conversation:
    if item.role is Role.USER:
        return _with_new_message(conversation, item, turn, at)
    [part] = item.parts
    last = conversation.messages[-1] if conversation.messages else None
    if isinstance(part, ToolResultPart):
        return _with_result(conversation, last, part)
    if last is None or last.role is Role.USER or last.turn:
        # Turn 0: only the model's own reply belongs to the turn.
        return _with_new_message(conversation, item, 0, at)
    mark = (StepMark(),) if _begins_a_step(last.parts, part) else ()
    return _extended(conversation, *mark, part)


def _with_new_message(
    conversation: Conversation, item: NewItem, turn: int, at: datetime
) -> Conversation:
    message = Message(
        id=item.id,
        number=conversation.next_number,
        turn=turn,
        role=item.role,
        parts=item.parts,
        created_at=at,
    )
    return with_message(conversation, message)


def _with_result(
    conversation: Conversation, last: Message | None, result: ToolResultPart
) -> Conversation:
    if last is not None and result in last.parts:
        # The client repeats it, because the model failed after it was stored.
        return conversation
    open_ids = {call.call_id for call in last.open_tool_calls} if last else set()
    if result.call_id not in open_ids:
        why = "No tool call is waiting for this result."
        raise InvalidInput("tool_call_not_found", why, field="items")
    return _extended(conversation, result)


def _retry_failed_items(conversation: Conversation) -> Conversation:
    """The conversation with the failed turn's items in the next turn, and its note removed."""
    failed = conversation.turn.number if conversation.turn else 0
    messages = [
        evolve(message, turn=conversation.next_turn_number) if message.turn == failed else message
        for message in conversation.messages
    ]
    last = messages[-1]
    notes = tuple(takewhile(lambda part: isinstance(part, UnknownPart), reversed(last.parts)))
    messages[-1] = evolve(last, parts=last.parts[: len(last.parts) - len(notes)])
    return evolve(conversation, messages=tuple(messages))


def _extended(conversation: Conversation, *parts: Part) -> Conversation:
    *before, last = conversation.messages
    longer = evolve(last, parts=(*last.parts, *parts))
    return evolve(conversation, messages=(*before, longer))


def _begins_a_step(parts: Sequence[Part], new_part: Part) -> bool:
    """Whether ``new_part`` starts another step after ``parts``.

    Tool results end a step. Text ends a step only if the new part is text too, because the texts of
    one step are joined.
    """
    step = tuple(takewhile(lambda part: not isinstance(part, StepMark), reversed(parts)))
    ending = (ToolResultPart, TextPart) if isinstance(new_part, TextPart) else (ToolResultPart,)
    return any(isinstance(part, ending) for part in step)


# Deleting

_DELETED: Final = TextPart("")
"""Stands in for a deleted part, so that the indexes of later parts do not change."""


def without_part(
    conversation: Conversation, message_id: MessageId, index: int | None
) -> Conversation:
    """The conversation without the part at ``index`` of a message; None removes the whole message.

    The retention is not restarted. A summary that covers the message is removed too.

    Raises:
        TurnInProgress: a reply is being written.
        MessageNotFound: there is no such message or part.
        OlderMessagesNeeded: the message may precede the loaded ones.
    """
    require_no_open_turn(conversation)
    message = message_of(conversation, message_id)
    kept = () if index is None else _without_part_at(message.parts, index)
    position = conversation.messages.index(message)
    changed = (evolve(message, parts=kept),) if kept else ()
    messages = (*conversation.messages[:position], *changed, *conversation.messages[position + 1 :])
    return _without_stale_summary(evolve(conversation, messages=messages), message)


def without_turn(conversation: Conversation, number: int) -> Conversation:
    """The conversation without the input and the reply of a turn; retention is not restarted.

    Raises:
        TurnInProgress: a reply is being written.
        MessageNotFound: no message belongs to turn ``number``.
        OlderMessagesNeeded: some may precede the loaded messages.
    """
    require_no_open_turn(conversation)
    removed = [message for message in conversation.messages if message.turn == number and number]
    if not removed or (conversation.earlier and removed[0] is conversation.messages[0]):
        raise OlderMessagesNeeded if conversation.earlier else MessageNotFound
    kept = tuple(message for message in conversation.messages if message not in removed)
    return _without_stale_summary(evolve(conversation, messages=kept), removed[0])


def _without_part_at(parts: Sequence[Part], index: int) -> tuple[Part, ...]:
    if not 0 <= index < len(parts) or parts[index] == _DELETED:
        raise MessageNotFound
    kept = [*parts]
    kept[index] = _DELETED
    while kept and kept[-1] in (_DELETED, StepMark()):
        kept.pop()
    return tuple(kept)


def _without_stale_summary(conversation: Conversation, removed: Message) -> Conversation:
    if conversation.summary is None or removed.number >= conversation.working_memory_from:
        return conversation
    return evolve(conversation, working_memory_from=1, summary=None)


# Branching and metadata


def branch_at_turn(
    conversation: Conversation, number: int, *, session_id: SessionId, turn_id: TurnId, at: datetime
) -> Conversation:
    """A new conversation that holds all messages of this one up to the end of turn ``number``.

    Raises:
        MessageNotFound: no message belongs to turn ``number``.
        TurnInProgress: its reply is still being written.
        OlderMessagesNeeded: not all messages are loaded.
    """
    if conversation.earlier:
        raise OlderMessagesNeeded
    if conversation.open_turn is not None and conversation.open_turn.number == number:
        require_no_open_turn(conversation)
    last = next(
        (message for message in reversed(conversation.messages) if message.turn == number), None
    )
    if last is None or number < 1:
        raise MessageNotFound
    shorter = truncated(conversation, last.number + 1)
    if last.role is Role.ASSISTANT:
        last = evolve(last, parts=reply_parts(last))
    turn = Turn(
        id=turn_id,
        number=number,
        reply_id=last.id,
        opened_at=at,
        ended_at=at,
        status=TurnStatus.FINISHED,
    )
    return evolve(
        shorter,
        id=session_id,
        messages=(*shorter.messages[:-1], last),
        next_number=last.number + 1,
        turn=turn,
        earlier_keys=(),
        created_at=at,
        retained_since=at,
        metadata={},
    )


def reply_parts(reply: Message) -> tuple[Part, ...]:
    """The parts that the model generated, without the results and notes that follow them."""
    added = (ToolResultPart, UnknownPart)
    backwards = dropwhile(lambda part: isinstance(part, added), reversed(reply.parts))
    return tuple(reversed(tuple(backwards)))


def with_metadata(conversation: Conversation, metadata: Mapping[str, str]) -> Conversation:
    """The conversation with its metadata replaced; retention is not restarted."""
    return evolve(conversation, metadata=metadata)
