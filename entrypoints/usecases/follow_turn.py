"""Following a turn from any point, also after its log is gone.

Telling turns whose process has died from those that are only quiet.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef, TurnId, TurnRef
from domain.model.message import Part
from domain.model.piece import NumberedPiece
from domain.model.turn import Outcome, Turn, TurnEnd, TurnPolicy
from domain.service.reply_reading import end_of, reply_of, split_at_last_tool_result, unheard
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import StoreUnavailable, TurnLogNotFound
from ports.turn_log import Batch, TurnLog

_MOST: Final = 10_000


class MissingLogs:
    """Since when the logs of open turns have been missing, as this process saw it. One a process.

    The oldest of very many are forgotten; they are then seen missing for the first time again.
    """

    def __init__(self) -> None:
        """None is missing yet."""
        self._since: OrderedDict[TurnId, timedelta] = OrderedDict()

    def since(self, turn_id: TurnId, now: timedelta) -> timedelta:
        """When this one was first seen missing, at the latest ``now``."""
        if len(self._since) >= _MOST and turn_id not in self._since:
            self._since.popitem(last=False)
        return self._since.setdefault(turn_id, now)

    def found(self, turn_id: TurnId) -> None:
        """It is there."""
        self._since.pop(turn_id, None)


@frozen(kw_only=True)
class TurnWatch:
    """Watches turns that the state says are open."""

    log: TurnLog
    clock: Clock
    policy: TurnPolicy
    missing: MissingLogs

    async def is_dead(self, turn_ref: TurnRef) -> bool:
        """Whether this open turn has been silent for so long that nobody runs it any more.

        Raises:
            StoreUnavailable: nobody can tell.
        """
        return await self._silence(turn_ref) >= self.policy.dead_after

    def found(self, turn_id: TurnId) -> None:
        """Its log was just read."""
        self.missing.found(turn_id)

    async def _silence(self, turn_ref: TurnRef) -> timedelta:
        try:
            silence = await self.log.silence(turn_ref)
        except TurnLogNotFound:
            # A living writer opens a lost log again, so one that stays away has no writer.
            now = self.clock.monotonic()
            return min(now - self.missing.since(turn_ref.turn_id, now), self.log.healthy_for())
        self.found(turn_ref.turn_id)
        return silence


@frozen(kw_only=True)
class FollowTurn:
    """Tells what a turn streams. Following leaves no trace; any number may follow."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy
    watch: TurnWatch

    async def running(self, ref: ConversationRef) -> Turn | None:
        """The open turn; absent when none runs or there is no such conversation."""
        try:
            return (await self.store.load(ref, last=1)).open_turn
        except ConversationNotFound:
            return None

    async def batches(
        self, turn_ref: TurnRef, heartbeat: timedelta, *, after: int = 0
    ) -> AsyncGenerator[Batch, None]:
        """The turn as it comes, until its end; an empty batch after each silent ``heartbeat``.

        A store that is away is waited for longer than a reply is tried to be saved. ``after`` is
        the number of the last piece that the caller has heard of before.

        Raises:
            TurnLogNotFound: that piece is gone with its log, and the state numbers none.
            StoreUnavailable: it was away for longer.
            StoredStateUnreadable: what is logged or stored does not open.
        """
        heard: list[NumberedPiece] = []
        away_since: timedelta | None = None
        while True:
            try:
                batch = await self.read(turn_ref, heard, heartbeat, after=after)
            except StoreUnavailable:
                now = self.clock.monotonic()
                away_since = now if away_since is None else away_since
                if now - away_since >= self.policy.save_timeout + self.policy.dead_after:
                    raise
                yield Batch()
                await self.clock.sleep(self.policy.heartbeat)
                continue
            away_since = None
            yield batch
            if batch.end is not None:
                return
            heard += batch.pieces

    async def said_before(self, ref: ConversationRef, turn: Turn) -> tuple[Part, ...]:
        """What its reply held before this turn went on with it; empty for a reply of its own."""
        if not turn.continues:
            return ()
        try:
            conversation = await self.store.load(ref, last=1)
        except ConversationNotFound:
            return ()
        reply = conversation.messages[-1] if conversation.messages else None
        same = reply is not None and reply.id == turn.reply_id
        return split_at_last_tool_result(reply)[0] if reply and same else ()

    async def read(
        self,
        turn_ref: TurnRef,
        heard: Sequence[NumberedPiece],
        wait: timedelta,
        *,
        after: int = 0,
    ) -> Batch:
        """What follows the pieces ``heard``; an empty batch when nothing came within ``wait``.

        Raises:
            TurnLogNotFound: as ``batches``.
            StoreUnavailable: neither log nor state could be reached.
        """
        last = heard[-1].number if heard else 0
        with suppress(TurnLogNotFound):
            batch = await self.log.read(turn_ref, last, wait)
            self.watch.found(turn_ref.turn_id)
            if not batch.is_empty or not await self.watch.is_dead(turn_ref):
                return batch
            # It may have ended well and not have said so: the state tells.
            wait = timedelta()
        batch = await self._from_state(turn_ref, heard, wait)
        if last < after and batch.pieces:
            raise TurnLogNotFound
        return batch

    async def _from_state(
        self,
        turn_ref: TurnRef,
        heard: Sequence[NumberedPiece],
        wait: timedelta,
    ) -> Batch:
        try:
            conversation = await self.store.load(turn_ref.conversation, last=1)
        except ConversationNotFound:
            return Batch(end=TurnEnd(outcome=Outcome.GONE, error="conversation_gone"))
        turn = conversation.turn
        if turn is None or turn.id != turn_ref.turn_id:
            return Batch(end=TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded"))
        if not turn.is_open:
            return Batch(pieces=_rest(conversation, turn, heard), end=end_of(conversation, turn))
        if await self.watch.is_dead(turn_ref):
            return Batch(end=TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned"))
        await self.clock.sleep(min(wait, self.policy.heartbeat))
        return Batch()


def _rest(
    conversation: Conversation, turn: Turn, heard: Sequence[NumberedPiece]
) -> Sequence[NumberedPiece]:
    reply = reply_of(conversation.messages, turn)
    if reply is None:
        return ()
    rest = unheard(reply, turn, (numbered.piece for numbered in heard))
    first = heard[-1].number + 1 if heard else 1
    return tuple(NumberedPiece(number, piece) for number, piece in enumerate(rest, first))
