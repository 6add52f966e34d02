"""Edits items: adds them, deletes them, and branches a conversation at a turn.

A tool result joins the last message, which has its call. Any other item of the assistant joins the
last message if that is an assistant message outside any turn; otherwise it becomes a message. So
calls stay with their results and all items keep their order. Items of all other roles become
messages.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Final

from attrs import define, evolve, field, frozen

from domain.model.conversation import (
    Conversation,
    message_of,
    require_message_room,
    truncated,
    with_retention_from,
    without_changed_summary,
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
    MessageStatus,
    Part,
    Role,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.model.turn import Turn, TurnStatus
from domain.service.server_calls import server_results
from domain.service.turn_lifecycle import NewTurn, opened_by, require_no_open_turn, with_open_turn


@frozen(kw_only=True)
class NewItem:
    """An item to add.

    Attributes:
        id: the id of the new message, if the item becomes a message of its own.
        parts: exactly one part for the assistant, or the call of a tool that we have run and its
            result; all parts of the message for any other role.
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
        ConversationFull: it would have too many messages.
    """
    require_no_open_turn(conversation)
    return with_retention_from(_with_items(conversation, items, turn=0, at=at), at)


def open_turn_with_items(
    conversation: Conversation,
    new_turn: NewTurn,
    items: Sequence[NewItem],
    note: UnknownPart | None = None,
) -> Conversation:
    """The conversation with ``items`` and a new turn; ``note`` is added to the last message.

    If the newest turn had the same items and failed before its first piece, they are not added
    again: they move to the new turn.

    Raises:
        TurnInProgress: another turn is open.
        NothingToAnswer: there are no messages except instructions, or ``items`` has none and the
            last message is a finished reply.
        InvalidInput: ``tool_call_not_found`` if a result in ``items`` has no open tool call.
        ConversationFull: it would have too many messages.
    """
    if opened_by(conversation, new_turn):
        return conversation
    require_no_open_turn(conversation)
    if repeats_failed_items(conversation, items):
        longer = _retry_failed_items(conversation)
    else:
        turn = conversation.next_turn_number
        longer = _with_items(conversation, items, turn=turn, at=new_turn.at)
    if _is_answered(longer):
        raise NothingToAnswer
    return with_open_turn(longer if note is None else _extended(longer, note), new_turn)


def _is_answered(conversation: Conversation) -> bool:
    """Whether there is no message to reply to."""
    dialogue = [message for message in conversation.messages if not message.is_instruction]
    if not dialogue:
        return not conversation.earlier
    last = dialogue[-1]
    is_reply = last.role is Role.ASSISTANT and last.turn > 0
    has_new_results = bool(last.parts) and _is_from_client(last.parts, len(last.parts) - 1)
    return is_reply and last.status is MessageStatus.FINISHED and not has_new_results


def _is_from_client(parts: Sequence[Part], index: int) -> bool:
    """Whether this part is the result of a tool that the client has run."""
    is_ours = index in server_results(parts).values()
    return isinstance(parts[index], ToolResultPart) and not is_ours


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
    longer = _LongerConversation.of(conversation, turn=turn, at=at)
    for item in items:
        longer.add(item)
    changed = longer.conversation()
    if len(changed.messages) > len(conversation.messages):
        require_message_room(changed)
    return changed


@define(kw_only=True)
class _LongerConversation:
    """A conversation to which items are added; adding one does not read all earlier ones again.

    Attributes:
        turn: the turn of the messages that the assistant did not write.
        messages: all messages; the last one lacks the parts that were added to it.
        parts: all parts of the last message.
        called: the ids of all calls among ``parts``.
        results: the results of these calls, by id; of the newest call if several have the same id.
        step: the kinds of the parts after the last step mark.
    """

    before: Conversation
    turn: int
    at: datetime
    messages: list[Message]
    parts: list[Part] = field(factory=list)
    called: set[str] = field(factory=set)
    results: dict[str, ToolResultPart] = field(factory=dict)
    step: set[type[Part]] = field(factory=set)

    @classmethod
    def of(cls, conversation: Conversation, *, turn: int, at: datetime) -> "_LongerConversation":
        messages = [*conversation.messages]
        longer = cls(before=conversation, turn=turn, at=at, messages=messages)
        longer._read(messages[-1].parts if messages else ())
        return longer

    def conversation(self) -> Conversation:
        self._complete_last()
        added = self.messages[len(self.before.messages) :]
        instructions = (message.number for message in added if message.is_instruction)
        return evolve(
            self.before,
            messages=tuple(self.messages),
            next_number=self.before.next_number + len(added),
            instructions_from=self.before.instructions_from or next(instructions, None),
        )

    def add(self, item: NewItem) -> None:
        if item.role is not Role.ASSISTANT:
            self._begin_message(item, self.turn)
            return
        part = item.parts[0]
        last = self.messages[-1] if self.messages else None
        if isinstance(part, ToolResultPart):
            self._add_result(part)
        elif last is None or last.role is not Role.ASSISTANT or last.turn:
            # Turn 0: an assistant item that a client adds belongs to no turn.
            self._begin_message(item, 0)
        else:
            self._read((StepMark(), *item.parts) if self._begins_a_step(part) else item.parts)

    def _begin_message(self, item: NewItem, turn: int) -> None:
        self._complete_last()
        message = Message(
            id=item.id,
            number=self.before.next_number + len(self.messages) - len(self.before.messages),
            turn=turn,
            role=item.role,
            parts=item.parts,
            created_at=self.at,
        )
        self.messages.append(message)
        for of_last in (self.parts, self.called, self.results, self.step):
            of_last.clear()
        self._read(message.parts)

    def _add_result(self, result: ToolResultPart) -> None:
        if self.results.get(result.call_id) == result:
            # It is stored already: the client repeats it after the model has failed.
            return
        if result.call_id not in self.called or result.call_id in self.results:
            why = "No tool call is waiting for this result."
            raise InvalidInput("tool_call_not_found", why, field="items")
        self._read((result,))

    def _read(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self.parts.append(part)
            if isinstance(part, StepMark):
                self.step.clear()
                continue
            self.step.add(type(part))
            if isinstance(part, ToolCallPart):
                self.called.add(part.call_id)
                # Some models use the same ids again in each of their steps.
                self.results.pop(part.call_id, None)
            if isinstance(part, ToolResultPart):
                self.results[part.call_id] = part

    def _begins_a_step(self, part: Part) -> bool:
        """Whether ``part`` starts another step.

        Tool results end a step. Text ends a step only if the new part is text too, because the
        texts of one step are joined.
        """
        return ToolResultPart in self.step or (isinstance(part, TextPart) and TextPart in self.step)

    def _complete_last(self) -> None:
        if self.messages and len(self.parts) > len(self.messages[-1].parts):
            self.messages[-1] = evolve(self.messages[-1], parts=tuple(self.parts))


def _retry_failed_items(conversation: Conversation) -> Conversation:
    """The conversation with the failed turn's items moved to the next turn, without their note."""
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


# Deleting

_DELETED: Final = TextPart("")
"""Stands in for a deleted part, so that the indexes of later parts do not change."""


def without_part(
    conversation: Conversation, message_id: MessageId, index: int | None
) -> Conversation:
    """The conversation without the part at ``index`` of a message; None removes the whole message.

    The call of a tool that we ran takes its result with it. The retention is not restarted. A
    summary that covers the message is removed too.

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
    return without_changed_summary(evolve(conversation, messages=messages), message.number)


def without_turn(conversation: Conversation, number: int) -> Conversation:
    """The conversation without the input and the reply of a turn; retention is not restarted.

    Raises:
        TurnInProgress: a reply is being written.
        MessageNotFound: no message belongs to turn ``number``.
        OlderMessagesNeeded: messages of the turn may precede the loaded ones.
    """
    require_no_open_turn(conversation)
    removed = [message for message in conversation.messages if message.turn == number and number]
    if not removed or (conversation.earlier and removed[0] is conversation.messages[0]):
        raise OlderMessagesNeeded if conversation.earlier else MessageNotFound
    kept = tuple(message for message in conversation.messages if message.turn != number)
    return without_changed_summary(evolve(conversation, messages=kept), removed[0].number)


def _without_part_at(parts: Sequence[Part], index: int) -> tuple[Part, ...]:
    if not 0 <= index < len(parts) or parts[index] == _DELETED:
        raise MessageNotFound
    kept, result = [*parts], server_results(parts).get(index)
    kept[index] = _DELETED
    if result is not None:
        kept[result] = _DELETED
    while kept and kept[-1] in (_DELETED, StepMark()):
        kept.pop()
    return tuple(kept)


# Branching


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
        folding=None,
        created_at=at,
        retained_since=at,
        metadata={},
    )


def reply_parts(reply: Message) -> tuple[Part, ...]:
    """The parts of a reply, without the client's results and the notes that follow them."""
    ours = {*server_results(reply.parts).values()}
    count = len(reply.parts)
    while count and count - 1 not in ours:
        if not isinstance(reply.parts[count - 1], ToolResultPart | UnknownPart):
            break
        count -= 1
    return reply.parts[:count]
