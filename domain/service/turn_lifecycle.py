"""Every step of a turn: how it is opened, how it ends, and how a repeated request is recognised.

A turn is opened by a user message (``add_user_message``, ``edit_message``), by a request for
another reply (``regenerate``), by items (``item_editing``) or by tool results (``tool_answers``).
Its own runner ends it with ``finish``, ``interrupt`` or ``fail``; ``settle`` ends it after that
runner died. Every step is idempotent by the turn's id.

Only one turn is open at a time. A request that would fail even without the open turn is refused
first, so that no running reply is stopped for it.

Opening a turn and every end by its own runner restart the retention; settling does not.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import evolve, frozen

from domain.model.conversation import (
    UNUSED_RETENTION,
    Conversation,
    truncated,
    with_message,
    with_retention_from,
)
from domain.model.errors import (
    IdempotencyKeyReused,
    InvalidInput,
    MessageNotFound,
    NothingToAnswer,
    OlderMessagesNeeded,
    TurnInProgress,
    TurnSuperseded,
)
from domain.model.identifiers import MessageId, SessionId, TurnId
from domain.model.message import (
    FinishReason,
    Message,
    MessageStatus,
    Part,
    Role,
    StepMark,
    TextPart,
    Usage,
)
from domain.model.piece import Piece, assemble_parts
from domain.model.turn import IdempotencyKey, Turn, TurnStatus, TurnStep, after_step


@frozen(kw_only=True)
class NewTurn:
    """What a new turn brings along from outside: its names, its time, its request key."""

    turn_id: TurnId
    reply_id: MessageId
    at: datetime
    idempotency: IdempotencyKey | None = None


def add_user_message(
    conversation: Conversation,
    new_turn: NewTurn,
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
    if opened_by(conversation, new_turn):
        return conversation
    known = _find(conversation, message_id)
    if known is None and conversation.earlier and not is_new:
        raise OlderMessagesNeeded
    if _is_of_a_reply(conversation, message_id):
        raise InvalidInput("message_id_taken", "This id names a reply.", field="messageId")
    require_no_open_turn(conversation)
    known = known or _unanswered(conversation, parts)
    base = conversation if known is None else truncated(conversation, known.number)
    return with_open_turn(
        with_message(base, _user_message(base, new_turn, message_id, parts)), new_turn
    )


def edit_message(
    conversation: Conversation,
    new_turn: NewTurn,
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
    if opened_by(conversation, new_turn):
        return conversation
    asked = _named(conversation, message_id) if message_id else _newest_question(conversation)
    if asked.role is not Role.USER:
        raise MessageNotFound
    return add_user_message(conversation, new_turn, asked.id, parts, is_new=True)


def regenerate(
    conversation: Conversation, new_turn: NewTurn, message_id: MessageId | None = None
) -> Conversation:
    """A turn for another answer: to the named user message, instead of the named reply, or,
    without a name, to the newest user message. What is replaced is gone.

    Raises:
        TurnInProgress: another turn is open.
        MessageNotFound: no message has this id.
        NothingToAnswer: there is no user message to answer.
        OlderMessagesNeeded: the message may precede what is loaded.
    """  # noqa: D205 - the promise is one sentence
    if opened_by(conversation, new_turn):
        return conversation
    turn = conversation.open_turn
    if turn is not None and turn.reply_id == message_id:
        raise TurnInProgress(turn.id)
    named = _named(conversation, message_id) if message_id else _newest_question(conversation)
    after = named.number + 1 if named.role is Role.USER else named.number
    shorter = truncated(conversation, after)
    if not shorter.messages or shorter.messages[-1].role is not Role.USER:
        raise NothingToAnswer
    require_no_open_turn(conversation)
    return with_open_turn(shorter, new_turn)


def opened_by(conversation: Conversation, new_turn: NewTurn) -> bool:
    """Whether this turn was opened already, open or not."""
    return conversation.turn is not None and conversation.turn.id == new_turn.turn_id


def require_no_open_turn(conversation: Conversation, *, can_interrupt: bool = True) -> None:
    """Nothing.

    Raises:
        TurnInProgress: a turn is open; ``can_interrupt`` tells what its stop would be good for.
    """
    if conversation.open_turn is not None:
        raise TurnInProgress(conversation.open_turn.id, can_interrupt=can_interrupt)


def with_open_turn(
    conversation: Conversation, new_turn: NewTurn, *, continues: bool = False
) -> Conversation:
    """The conversation with a new turn, its stay restarted; ``continues`` as in ``Turn``."""
    before = conversation.turn
    turn = Turn(
        id=new_turn.turn_id,
        number=1 if before is None else before.number + 1,
        reply_id=new_turn.reply_id,
        opened_at=new_turn.at,
        continues=continues,
        idempotency=new_turn.idempotency,
    )
    return with_retention_from(evolve(conversation, turn=turn), new_turn.at)


def _user_message(
    conversation: Conversation, new_turn: NewTurn, message_id: MessageId, parts: Sequence[Part]
) -> Message:
    return Message(
        id=message_id,
        number=conversation.next_number,
        turn=1 if conversation.turn is None else conversation.turn.number + 1,
        role=Role.USER,
        parts=tuple(parts),
        created_at=new_turn.at,
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


def new_conversation(session_id: SessionId, *, locale: str, at: datetime) -> Conversation:
    """An empty conversation; it is forgotten soon unless somebody speaks in it."""
    return Conversation(
        id=session_id,
        locale=locale,
        created_at=at,
        retained_since=at,
        retained_for=UNUSED_RETENTION,
    )


def with_welcome(conversation: Conversation, message_id: MessageId, text: str) -> Conversation:
    """The conversation with the assistant's welcome as its next message."""
    welcome = Message(
        id=message_id,
        number=conversation.next_number,
        turn=0,
        role=Role.ASSISTANT,
        parts=(TextPart(text),),
        created_at=conversation.created_at,
    )
    return with_message(conversation, welcome)


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
    return with_retention_from(evolve(ended, messages=(*ended.messages[:-1], reply)), at)


def interrupt(
    conversation: Conversation, turn_id: TurnId, pieces: Iterable[Piece], at: datetime
) -> Conversation:
    """The reply was stopped; the pieces so far stay, none leave no message.

    Raises:
        TurnSuperseded: the turn is not, or no longer, the open one.
    """
    ended = _ended(conversation, turn_id, TurnStep.INTERRUPT, pieces, at)
    return conversation if ended is conversation else with_retention_from(ended, at)


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
    turn = ended.turn if heard else evolve(ended.turn, idempotency=None)
    return with_retention_from(evolve(ended, turn=turn), at)


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
    failed = after_step(evolve(turn, idempotency=None), TurnStep.FAIL, at, "turn_abandoned")
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
    turn = after_step(conversation.turn, step, at, error)
    if turn is conversation.turn:
        return conversation
    return _with_reply(evolve(conversation, turn=turn), turn, assemble_parts(pieces), at)


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
    return with_message(conversation, reply)


def _continued(conversation: Conversation, turn: Turn, parts: tuple[Part, ...]) -> Conversation:
    asked = conversation.messages[-1]
    marked = (StepMark(), *parts) if parts else ()
    status = MessageStatus(turn.status.value)
    reply = evolve(asked, parts=(*asked.parts, *marked), status=status, finish_reason=None)
    return evolve(conversation, messages=(*conversation.messages[:-1], reply))


def turn_for_key(conversation: Conversation, idempotency: IdempotencyKey | None) -> Turn | None:
    """The newest turn if it was asked for with this key, so that a retry joins it; else absent.

    Raises:
        IdempotencyKeyReused: the key is the same, the request is not.
    """
    turn = conversation.turn
    if idempotency is None or turn is None or turn.idempotency is None:
        return None
    if turn.idempotency.digest != idempotency.digest:
        return None
    if turn.idempotency.body_digest != idempotency.body_digest:
        raise IdempotencyKeyReused
    return turn


def has_replied_since(conversation: Conversation, number: int) -> bool:
    """Whether the model has replied in a turn after turn ``number``."""
    return any(said.role is Role.ASSISTANT and said.turn > number for said in conversation.messages)


def is_unanswered(conversation: Conversation) -> bool:
    """Whether no reply was ever begun in it, so that its first message may be sent once more."""
    turn = conversation.turn
    has_failed = turn is None or turn.status is TurnStatus.FAILED
    return has_failed and all(said.role is Role.USER for said in conversation.messages)


def is_being_answered(
    conversation: Conversation, message_id: MessageId, parts: Sequence[Part]
) -> bool:
    """Whether the open turn replies to this very message, so that one sent twice joins it."""
    newest = conversation.messages[-1:]
    said_already = bool(newest) and (newest[0].id, newest[0].parts) == (message_id, tuple(parts))
    return conversation.open_turn is not None and said_already
