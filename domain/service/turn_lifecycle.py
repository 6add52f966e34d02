"""Every step of a turn: how it is opened, and how it ends.

A turn is opened by a user message (``add_user_message``), by a request for another reply or with
an edited message (``regeneration``), by items (``item_editing``), by tool results
(``tool_answers``) or by a request to continue a reply (``reply_continuation``).
Its own runner ends it with ``finish``, ``interrupt`` or ``fail``; ``settle`` ends it if that
runner has died. Repeating a step with the same turn id changes nothing.

Only one turn is open at a time. A request that would fail anyway is rejected before the open turn
is considered, so that no running reply is stopped for nothing.

Opening a turn restarts the retention. So does ending it, except with ``settle``.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import evolve, frozen

from domain.model.conversation import (
    Conversation,
    find_message,
    require_message_room,
    truncated,
    with_message,
    with_retention_from,
)
from domain.model.errors import (
    InvalidInput,
    OlderMessagesNeeded,
    TurnInProgress,
    TurnSuperseded,
)
from domain.model.hook_state import after_state_change
from domain.model.identifiers import MessageId, ProcessId, TurnId
from domain.model.message import (
    FinishReason,
    Message,
    MessageStatus,
    Part,
    Role,
    StepMark,
    Usage,
    is_same_content,
)
from domain.model.piece import Piece, StatePiece, assemble_parts, has_content
from domain.model.turn import CutPoint, IdempotencyKey, Turn, TurnStatus, TurnStep, after_step
from domain.service.cut_replies import total_usage, with_continuation
from domain.service.idempotency import remembered_keys
from domain.service.server_calls import with_all_results

# Opening a turn


@frozen(kw_only=True)
class NewTurn:
    """What a new turn gets from outside the domain: its ids, its time, its Idempotency-Key."""

    turn_id: TurnId
    reply_id: MessageId
    at: datetime
    process: ProcessId | None = None
    idempotency: IdempotencyKey | None = None


def add_user_message(
    conversation: Conversation,
    new_turn: NewTurn,
    message_id: MessageId,
    parts: Sequence[Part],
    *,
    page_context: str | None = None,
    is_new: bool = False,
) -> Conversation:
    """The conversation with a user message and a new turn.

    A message with the id of an earlier one replaces it and everything after it. If the newest
    turn failed without a reply and its message had the same parts, that message is replaced. The
    page context is the new message's, even if that is None.
    With ``is_new``, the caller guarantees that no message that is not loaded has the id.

    Raises:
        TurnInProgress: another turn is open.
        InvalidInput: ``message_id_taken`` if the id belongs to a reply.
        ConversationFull: it would have too many messages.
        OlderMessagesNeeded: a message that is not loaded may have the id.
    """
    if opened_by(conversation, new_turn):
        return conversation
    replaced = find_message(conversation, message_id)
    if replaced is None and conversation.earlier and not is_new:
        raise OlderMessagesNeeded
    if _is_reply_id(conversation, message_id):
        why = "This id belongs to a reply."
        raise InvalidInput("message_id_taken", why, field="message_id")
    replaced = replaced or _unanswered(conversation, parts)
    base = conversation if replaced is None else truncated(conversation, replaced.number)
    message = Message(
        id=message_id,
        number=base.next_number,
        turn=base.next_turn_number,
        role=Role.USER,
        parts=tuple(parts),
        created_at=new_turn.at,
        page_context=page_context,
    )
    longer = with_message(base, message)
    require_message_room(longer)
    require_no_open_turn(conversation)
    return with_open_turn(longer, new_turn)


def opened_by(conversation: Conversation, new_turn: NewTurn) -> bool:
    """Whether the newest turn, open or ended, is this one."""
    return conversation.turn is not None and conversation.turn.id == new_turn.turn_id


def require_no_open_turn(conversation: Conversation, *, can_interrupt: bool = True) -> None:
    """Raise if a turn is open.

    Raises:
        TurnInProgress: a turn is open; the error carries ``can_interrupt``.
    """
    if conversation.open_turn is not None:
        raise TurnInProgress(conversation.open_turn.id, can_interrupt=can_interrupt)


def with_open_turn(
    conversation: Conversation,
    new_turn: NewTurn,
    *,
    continues: bool = False,
    cut_at: CutPoint | None = None,
    parts_before: int | None = None,
) -> Conversation:
    """The conversation with a new open ``Turn`` and its retention restarted.

    ``continues``, ``cut_at`` and ``parts_before``: see ``Turn``.
    """
    turn = Turn(
        id=new_turn.turn_id,
        number=conversation.next_turn_number,
        reply_id=new_turn.reply_id,
        opened_at=new_turn.at,
        continues=continues,
        cut_at=cut_at,
        parts_before=parts_before,
        process=new_turn.process,
        idempotency=new_turn.idempotency,
    )
    opened = evolve(conversation, turn=turn, earlier_keys=remembered_keys(conversation))
    return with_retention_from(opened, new_turn.at)


def _is_reply_id(conversation: Conversation, message_id: MessageId) -> bool:
    message, turn = find_message(conversation, message_id), conversation.open_turn
    if turn is not None and turn.reply_id == message_id:
        return True
    return message is not None and message.role is not Role.USER


def _unanswered(conversation: Conversation, parts: Sequence[Part]) -> Message | None:
    """The last message, if its turn failed without a reply and its parts are these."""
    turn = conversation.turn
    if turn is None or turn.status is not TurnStatus.FAILED or not conversation.messages:
        return None
    last = conversation.messages[-1]
    is_same = last.role is Role.USER and is_same_content(last.parts, parts)
    return last if is_same else None


# Ending a turn


def finish(
    conversation: Conversation,
    turn_id: TurnId,
    pieces: Iterable[Piece],
    at: datetime,
    *,
    reason: FinishReason,
    usage: Usage | None = None,
) -> Conversation:
    """The conversation with the turn finished and its whole reply as a message.

    Raises:
        TurnSuperseded: the turn is not the newest, or has ended in another way.
    """
    ended = _ended(conversation, turn_id, TurnStep.FINISH, pieces, at)
    if ended is conversation:
        return conversation
    reply = ended.messages[-1]
    if ended.turn is not None and ended.turn.cut_at:
        usage = total_usage(reply.usage, usage)
    reply = evolve(reply, finish_reason=reason, usage=usage)
    return with_retention_from(evolve(ended, messages=(*ended.messages[:-1], reply)), at)


def interrupt(
    conversation: Conversation, turn_id: TurnId, pieces: Iterable[Piece], at: datetime
) -> Conversation:
    """The conversation with the turn interrupted, and its pieces as a message if they are a reply.

    Raises:
        TurnSuperseded: the turn is not the newest, or has ended in another way.
    """
    ended = _ended(conversation, turn_id, TurnStep.INTERRUPT, _reply_pieces(pieces), at)
    return conversation if ended is conversation else with_retention_from(ended, at)


def fail(
    conversation: Conversation, turn_id: TurnId, pieces: Iterable[Piece], at: datetime, error: str
) -> Conversation:
    """The conversation with the turn failed, and its pieces as a message if they are a reply.

    Without a reply, the turn's Idempotency-Key is released, so that the request can be retried.

    Raises:
        TurnSuperseded: the turn is not the newest, or has ended in another way.
    """
    pieces = _reply_pieces(pieces)
    ended = _ended(conversation, turn_id, TurnStep.FAIL, pieces, at, error=error)
    if ended is conversation or ended.turn is None:
        return conversation
    turn = ended.turn if pieces else evolve(ended.turn, idempotency=None)
    return with_retention_from(evolve(ended, turn=turn), at)


def settle(
    conversation: Conversation, turn_id: TurnId, pieces: Iterable[Piece], at: datetime
) -> Conversation:
    """The conversation after closing the turn that a dead process left open.

    ``pieces`` are what its log still has. If they are a reply, the turn is interrupted. Otherwise
    it fails and its Idempotency-Key is released, so that the request can be retried. The retention
    is not restarted, because no user did anything.

    Raises:
        TurnSuperseded: the turn is not the newest.
    """
    pieces, turn = _reply_pieces(pieces), conversation.open_turn
    if pieces or turn is None or turn.id != turn_id:
        return _ended(conversation, turn_id, TurnStep.SETTLE, pieces, at)
    failed = after_step(evolve(turn, idempotency=None), TurnStep.FAIL, at, "turn_abandoned")
    return _with_reply(evolve(conversation, turn=failed), failed, (), at)


def with_reply_so_far(conversation: Conversation, pieces: Iterable[Piece]) -> Conversation:
    """The conversation with what its open turn has written so far in its last message.

    It is for the next prompt of the same turn, and never stored.
    """
    turn = conversation.open_turn
    if turn is None:
        raise AssertionError("only an open turn has a reply so far")
    finished = evolve(turn, status=TurnStatus.FINISHED)
    # The model continues after the results of its tools, and no longer where the reply was cut.
    uncut = evolve(conversation, turn=evolve(turn, cut_at=None))
    return _with_reply(uncut, finished, assemble_parts(pieces), turn.opened_at)


def _reply_pieces(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces; none if they are no reply."""
    pieces = tuple(pieces)
    return pieces if has_content(pieces) else ()


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
    pieces = tuple(pieces)
    # Nobody waits for a call that we ran, and it is never run a second time.
    parts = with_all_results(assemble_parts(pieces))
    ended = _with_reply(evolve(conversation, turn=turn), turn, parts, at)
    has_reply = bool(parts) or turn.status is TurnStatus.FINISHED
    return _with_hook_state(ended, pieces) if has_reply else ended


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


def _with_hook_state(conversation: Conversation, pieces: Sequence[Piece]) -> Conversation:
    """The conversation, whose last message is the reply, with the newest state in ``pieces``."""
    states = [piece.state for piece in pieces if isinstance(piece, StatePiece)]
    if not states or states[-1] == conversation.hook_state:
        return conversation
    reply = after_state_change(conversation.messages[-1], conversation.hook_state)
    messages = (*conversation.messages[:-1], reply)
    return evolve(conversation, messages=messages, hook_state=states[-1])


def _continued(conversation: Conversation, turn: Turn, parts: tuple[Part, ...]) -> Conversation:
    last = conversation.messages[-1]
    if turn.cut_at is not None:
        reply = with_continuation(last, turn, parts)
    else:
        marked = (StepMark(), *parts) if parts else ()
        status = MessageStatus(turn.status.value)
        reply = evolve(last, parts=(*last.parts, *marked), status=status, finish_reason=None)
    return evolve(conversation, messages=(*conversation.messages[:-1], reply))
