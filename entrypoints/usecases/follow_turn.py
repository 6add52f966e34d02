"""Following a turn from any point, also after its log is gone."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.message import (
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import NumberedPiece, Piece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome, Turn, TurnEnd, TurnStatus
from domain.model.turn_policy import TurnPolicy
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import TurnNotLogged
from ports.turn_log import LogEntry, TurnLog


@frozen(kw_only=True)
class FollowTurn:
    """Tells what a turn streams. Following leaves no trace; any number may follow."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def running(self, owner: Owner, session_id: SessionId) -> Turn | None:
        """The open turn; absent when none runs or there is no such conversation."""
        try:
            return (await self.store.load(owner, session_id, last=1)).open_turn
        except ConversationNotFound:
            return None

    async def said_before(
        self, owner: Owner, session_id: SessionId, turn: Turn
    ) -> tuple[Part, ...]:
        """What its reply held before this turn went on with it; empty for a reply of its own."""
        if not turn.continues:
            return ()
        try:
            conversation = await self.store.load(owner, session_id, last=1)
        except ConversationNotFound:
            return ()
        reply = conversation.messages[-1] if conversation.messages else None
        same = reply is not None and reply.id == turn.reply_id
        return _told_of(reply)[0] if reply and same else ()

    async def read(
        self, owner: Owner, session_id: SessionId, turn_id: TurnId, after: int, wait: timedelta
    ) -> Sequence[LogEntry]:
        """The entries behind piece ``after``, the end last; empty when none came within ``wait``.

        Raises:
            StoreUnavailable: neither log nor state could be reached.
        """
        try:
            entries = await self.log.read(owner, session_id, turn_id, after, wait)
            if not entries and await self._is_dead(owner, session_id, turn_id):
                return (TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned"),)
        except TurnNotLogged:
            return await self._from_state(owner, session_id, turn_id, after, wait)
        return entries

    async def _is_dead(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> bool:
        silence = await self.log.silence(owner, session_id, turn_id)
        return silence >= self.policy.dead_after

    async def _from_state(
        self, owner: Owner, session_id: SessionId, turn_id: TurnId, after: int, wait: timedelta
    ) -> Sequence[LogEntry]:
        try:
            conversation = await self.store.load(owner, session_id, last=1)
        except ConversationNotFound:
            return (TurnEnd(outcome=Outcome.GONE, error="conversation_gone"),)
        turn = conversation.turn
        if turn is None or turn.id != turn_id:
            return (TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded"),)
        if turn.is_open:
            await self.clock.sleep(wait)
            return ()
        return (*_replayed(conversation, turn, after), _end_of(conversation, turn))


def reply_of(conversation: Conversation, turn: Turn) -> Message | None:
    """The reply of this turn; absent while it is open, or when nothing was said."""
    last = conversation.messages[-1:]
    return last[0] if last and last[0].id == turn.reply_id and not turn.is_open else None


def _told_of(reply: Message) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The parts up to the newest result of a tool, and those that a turn added after it."""
    results = (at for at, part in enumerate(reply.parts, 1) if isinstance(part, ToolResultPart))
    newest = max(results, default=0)
    return reply.parts[:newest], reply.parts[newest:]


def _replayed(conversation: Conversation, turn: Turn, after: int) -> Sequence[NumberedPiece]:
    """One piece a part. Cursors into the log mean nothing any more, so they get the end only."""
    reply = reply_of(conversation, turn)
    if after or reply is None:
        return ()
    parts = _told_of(reply)[1] if turn.continues else reply.parts
    pieces = [piece for part in parts if (piece := _as_piece(part)) is not None]
    return tuple(NumberedPiece(number, piece) for number, piece in enumerate(pieces, 1))


def _as_piece(part: Part) -> Piece | None:
    if isinstance(part, TextPart):
        return TextPiece(part.text)
    if isinstance(part, ReasoningPart):
        return ReasoningPiece(part.text)
    if isinstance(part, ToolCallPart):
        return ToolCallPiece(call_id=part.call_id, name=part.name, arguments=part.arguments)
    return None


def _end_of(conversation: Conversation, turn: Turn) -> TurnEnd:
    if turn.status is not TurnStatus.FINISHED:
        outcome = Outcome(turn.status.value)
        return TurnEnd(outcome=outcome, error=turn.error, forgotten_at=conversation.forgotten_at)
    reply = reply_of(conversation, turn)
    return TurnEnd(
        outcome=Outcome.FINISHED,
        finish_reason=reply.finish_reason if reply else None,
        usage=reply.usage if reply else None,
        forgotten_at=conversation.forgotten_at,
    )
