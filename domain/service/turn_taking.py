"""Whose turn it is: how a turn is opened.

Three things open a turn: something said (``say``, ``edit``), a wish for another answer
(``answer_again``), the results of tools the last reply asked for (``tool_answers``). All of them
are idempotent by the turn's id, and none of them opens a second turn beside an open one. What could
not be done without that one either is refused first: nobody's reply is stopped for it.
"""

from collections.abc import Sequence
from datetime import datetime

from attrs import evolve, frozen

from domain.model.conversation import Conversation, cut, said, staying
from domain.model.errors import (
    InvalidInput,
    MessageNotFound,
    NothingToAnswer,
    OlderMessagesNeeded,
    TurnInProgress,
)
from domain.model.identifiers import MessageId, TurnId
from domain.model.message import (
    Message,
    Part,
    Role,
)
from domain.model.turn import RequestKey, Turn, TurnStatus


@frozen(kw_only=True)
class Opening:
    """What a new turn brings along from outside: its names, its time, its request key."""

    turn_id: TurnId
    reply_id: MessageId
    at: datetime
    request: RequestKey | None = None


def say(
    conversation: Conversation,
    opening: Opening,
    message_id: MessageId,
    parts: Sequence[Part],
    *,
    is_new: bool = False,
) -> Conversation:
    """A user message opens a turn; one with a known id replaces that message and all after it.

    The same words said again after a turn that failed without a piece take the place of the
    unanswered ones. ``is_new`` tells that the id was made for this message: no older one has it.

    Raises:
        TurnInProgress: another turn is open.
        InvalidInput: the id belongs to a reply.
        OlderMessagesNeeded: what precedes what is loaded may have the id.
    """
    if is_opened_by(conversation, opening):
        return conversation
    known = _find(conversation, message_id)
    if known is None and conversation.earlier and not is_new:
        raise OlderMessagesNeeded
    if _is_of_a_reply(conversation, message_id):
        raise InvalidInput("message_id_taken", "This id names a reply.", field="messageId")
    check_idle(conversation)
    known = known or _unanswered(conversation, parts)
    base = conversation if known is None else cut(conversation, known.number)
    return with_turn(said(base, _user_message(base, opening, message_id, parts)), opening)


def edit(
    conversation: Conversation,
    opening: Opening,
    message_id: MessageId | None,
    parts: Sequence[Part],
) -> Conversation:
    """The named user message, or the newest, is said anew; all after it is gone.

    Raises:
        TurnInProgress: another turn is open.
        MessageNotFound: no user message has this id.
        NothingToAnswer: no id was given and no user message is there.
        OlderMessagesNeeded: it may precede what is loaded.
    """
    if is_opened_by(conversation, opening):
        return conversation
    asked = _named(conversation, message_id) if message_id else _newest_question(conversation)
    if asked.role is not Role.USER:
        raise MessageNotFound
    return say(conversation, opening, asked.id, parts, is_new=True)


def answer_again(
    conversation: Conversation, opening: Opening, message_id: MessageId | None = None
) -> Conversation:
    """A turn for another answer: to the named user message, instead of the named reply, or,
    without a name, to the newest user message. What is replaced is gone.

    Raises:
        TurnInProgress: another turn is open.
        MessageNotFound: no message has this id.
        NothingToAnswer: there is no user message to answer.
        OlderMessagesNeeded: the message may precede what is loaded.
    """  # noqa: D205 - the promise is one sentence
    if is_opened_by(conversation, opening):
        return conversation
    turn = conversation.open_turn
    if turn is not None and turn.reply_id == message_id:
        raise TurnInProgress(turn.id)
    named = _named(conversation, message_id) if message_id else _newest_question(conversation)
    after = named.number + 1 if named.role is Role.USER else named.number
    shorter = cut(conversation, after)
    if not shorter.messages or shorter.messages[-1].role is not Role.USER:
        raise NothingToAnswer
    check_idle(conversation)
    return with_turn(shorter, opening)


def is_opened_by(conversation: Conversation, opening: Opening) -> bool:
    """Whether this turn was opened already, open or not."""
    return conversation.turn is not None and conversation.turn.id == opening.turn_id


def check_idle(conversation: Conversation, *, gives_way: bool = True) -> None:
    """Nothing.

    Raises:
        TurnInProgress: a turn is open; ``gives_way`` tells what its stop would be good for.
    """
    if conversation.open_turn is not None:
        raise TurnInProgress(conversation.open_turn.id, gives_way=gives_way)


def with_turn(
    conversation: Conversation, opening: Opening, *, continues: bool = False
) -> Conversation:
    """The conversation with a new turn, its stay restarted; ``continues`` as in ``Turn``."""
    before = conversation.turn
    turn = Turn(
        id=opening.turn_id,
        number=1 if before is None else before.number + 1,
        reply_id=opening.reply_id,
        opened_at=opening.at,
        continues=continues,
        request=opening.request,
    )
    return staying(evolve(conversation, turn=turn), opening.at)


def _user_message(
    conversation: Conversation, opening: Opening, message_id: MessageId, parts: Sequence[Part]
) -> Message:
    return Message(
        id=message_id,
        number=conversation.next_number,
        turn=1 if conversation.turn is None else conversation.turn.number + 1,
        role=Role.USER,
        parts=tuple(parts),
        created_at=opening.at,
    )


def _find(conversation: Conversation, message_id: MessageId) -> Message | None:
    return next((said for said in conversation.messages if said.id == message_id), None)


def _is_of_a_reply(conversation: Conversation, message_id: MessageId) -> bool:
    known, turn = _find(conversation, message_id), conversation.open_turn
    being_written = turn is not None and turn.reply_id == message_id
    return being_written or (known is not None and known.role is not Role.USER)


def _unanswered(conversation: Conversation, parts: Sequence[Part]) -> Message | None:
    turn, last = conversation.turn, conversation.messages[-1:]
    if turn is None or turn.status is not TurnStatus.FAILED or not last:
        return None
    asked = last[0]
    return asked if asked.role is Role.USER and asked.parts == tuple(parts) else None


def _named(conversation: Conversation, message_id: MessageId) -> Message:
    named = _find(conversation, message_id)
    if named is not None:
        return named
    raise OlderMessagesNeeded if conversation.earlier else MessageNotFound


def _newest_question(conversation: Conversation) -> Message:
    questions = (said for said in reversed(conversation.messages) if said.role is Role.USER)
    newest = next(questions, None)
    if newest is not None:
        return newest
    raise OlderMessagesNeeded if conversation.earlier else NothingToAnswer
