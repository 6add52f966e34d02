"""Following a turn from any point, also after its log is gone."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import timedelta

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.message import Part
from domain.model.piece import NumberedPiece
from domain.model.turn import Outcome, Turn, TurnEnd
from domain.model.turn_policy import TurnPolicy
from domain.service.replaying import end_of, remaining, reply_of, told_of
from entrypoints.usecases.turn_watch import TurnWatch
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import StoreUnavailable, TurnNotLogged
from ports.turn_log import LogEntry, TurnLog


@frozen(kw_only=True)
class FollowTurn:
    """Tells what a turn streams. Following leaves no trace; any number may follow."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy
    watch: TurnWatch

    async def running(self, owner: Owner, session_id: SessionId) -> Turn | None:
        """The open turn; absent when none runs or there is no such conversation."""
        try:
            return (await self.store.load(owner, session_id, last=1)).open_turn
        except ConversationNotFound:
            return None

    async def entries(
        self,
        owner: Owner,
        session_id: SessionId,
        turn_id: TurnId,
        heartbeat: timedelta,
        *,
        after: int = 0,
    ) -> AsyncGenerator[Sequence[LogEntry], None]:
        """All of a turn as it comes, its end last; an empty batch after each silent ``heartbeat``.

        A store that is away is waited for longer than a reply is tried to be saved. ``after`` is
        the number of the last piece that the caller has heard of before.

        Raises:
            TurnNotLogged: that piece is gone with its log, and the state numbers none.
            StoreUnavailable: it was away for longer.
            StoredStateUnreadable: what is logged or stored does not open.
        """
        heard: list[NumberedPiece] = []
        away_since: timedelta | None = None
        while True:
            try:
                entries = await self.read(owner, session_id, turn_id, heard, heartbeat, after=after)
            except StoreUnavailable:
                now = self.clock.monotonic()
                away_since = now if away_since is None else away_since
                if now - away_since >= self.policy.save_within + self.policy.dead_after:
                    raise
                yield ()
                await self.clock.sleep(self.policy.heartbeat)
                continue
            away_since = None
            yield entries
            heard += (entry for entry in entries if isinstance(entry, NumberedPiece))
            if entries and isinstance(entries[-1], TurnEnd):
                return

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
        return told_of(reply)[0] if reply and same else ()

    async def read(
        self,
        owner: Owner,
        session_id: SessionId,
        turn_id: TurnId,
        heard: Sequence[NumberedPiece],
        wait: timedelta,
        *,
        after: int = 0,
    ) -> Sequence[LogEntry]:
        """The entries behind those ``heard``, the end last; empty when none came within ``wait``.

        Raises:
            TurnNotLogged: as ``entries``.
            StoreUnavailable: neither log nor state could be reached.
        """
        last = heard[-1].number if heard else 0
        with suppress(TurnNotLogged):
            entries = await self.log.read(owner, session_id, turn_id, last, wait)
            self.watch.found(turn_id)
            if entries or not await self.watch.is_dead(owner, session_id, turn_id):
                return entries
            # It may have ended well and not have said so: the state tells.
            wait = timedelta()
        told = await self._from_state(owner, session_id, turn_id, heard, wait)
        if last < after and any(isinstance(one, NumberedPiece) for one in told):
            raise TurnNotLogged
        return told

    async def _from_state(
        self,
        owner: Owner,
        session_id: SessionId,
        turn_id: TurnId,
        heard: Sequence[NumberedPiece],
        wait: timedelta,
    ) -> Sequence[LogEntry]:
        try:
            conversation = await self.store.load(owner, session_id, last=1)
        except ConversationNotFound:
            return (TurnEnd(outcome=Outcome.GONE, error="conversation_gone"),)
        turn = conversation.turn
        if turn is None or turn.id != turn_id:
            return (TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded"),)
        if not turn.is_open:
            return (*_rest(conversation, turn, heard), end_of(conversation, turn))
        if await self.watch.is_dead(owner, session_id, turn_id):
            return (TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned"),)
        await self.clock.sleep(min(wait, self.policy.heartbeat))
        return ()


def _rest(
    conversation: Conversation, turn: Turn, heard: Sequence[NumberedPiece]
) -> Sequence[NumberedPiece]:
    reply = reply_of(conversation.messages, turn)
    if reply is None:
        return ()
    rest = remaining(reply, turn, (numbered.piece for numbered in heard))
    first = heard[-1].number + 1 if heard else 1
    return tuple(NumberedPiece(number, piece) for number, piece in enumerate(rest, first))
