"""Turns that no process runs any more: how they are recognised, and how they are ended.

``TurnWatch`` distinguishes turns whose process has died from turns that are only silent.
``SettleTurn`` ends a dead turn with the pieces in its log, when somebody writes to its conversation
or reads it. ``AbandonTurn`` closes a turn that may have been opened although the request failed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.conversation import Conversation, Extent, tail_of
from domain.model.errors import ConversationNotFound, TurnSuperseded
from domain.model.identifiers import ConversationRef, TurnId, TurnRef
from domain.model.piece import Piece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from domain.service.reply_reading import end_of
from domain.service.turn_lifecycle import fail, settle
from entrypoints.usecases.retrying import retrying
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import (
    ConversationBusy,
    StoredStateUnreadable,
    StoreUnavailable,
    TurnLogNotFound,
)
from ports.process_lease import ProcessLease
from ports.telemetry import Telemetry
from ports.turn_log import Batch, TurnLog
from ports.turn_runner import TurnRunner

AFTER_ALL_PIECES: Final = 2**53
"""Reading a log after this piece gives only its end."""

_AT_ONCE: Final = timedelta()
_MAX_MISSING: Final = 10_000


class MissingLogs:
    """Remembers when this process first found the log of a turn missing. One instance per process.

    Only the newest ``_MAX_MISSING`` are remembered.
    """

    def __init__(self) -> None:
        """Start with no log missing."""
        self._since: OrderedDict[TurnId, timedelta] = OrderedDict()

    def since(self, turn_id: TurnId, now: timedelta) -> timedelta:
        """When this turn's log was first seen missing; ``now`` if this is the first time."""
        if len(self._since) >= _MAX_MISSING and turn_id not in self._since:
            self._since.popitem(last=False)
        return self._since.setdefault(turn_id, now)

    def is_missing(self, turn_id: TurnId) -> bool:
        """Whether this turn's log was missing when it was last looked for."""
        return turn_id in self._since

    def found(self, turn_id: TurnId) -> None:
        """Note that this turn's log exists."""
        self._since.pop(turn_id, None)


@frozen(kw_only=True)
class TurnWatch:
    """Decides whether an open turn is still being run.

    While the logs can be reached, the silence of the turn decides, even if its process still runs.
    Otherwise, the lease of its process decides.
    """

    store: ConversationStateStore
    log: TurnLog
    lease: ProcessLease
    runner: TurnRunner
    clock: Clock
    policy: TurnPolicy
    missing: MissingLogs

    async def dead_in(self, turn_ref: TurnRef) -> timedelta | None:
        """How long until a turn that has fallen silent counts as dead; None if it is not silent.

        A running turn is never silent for three heartbeats.

        Raises:
            StoreUnavailable: the log cannot be reached.
        """
        silence = await self._silence(turn_ref)
        is_missing = self.missing.is_missing(turn_ref.turn_id)
        if not is_missing and silence < 3 * self.policy.heartbeat:
            return None
        left = max(self.policy.dead_after - silence, _AT_ONCE)
        return left + 2 * self.policy.heartbeat

    async def is_dead(self, turn_ref: TurnRef) -> bool:
        """True if no process runs this open turn.

        Either it was silent for ``TurnPolicy.dead_after``, or its process has ended. A turn that
        has been silent for that long is looked at again after two heartbeats.

        Raises:
            StoreUnavailable: the log or the conversation cannot be reached.
            StoredStateUnreadable: the conversation cannot be decrypted or decoded.
        """
        if await self._is_silent(turn_ref):
            # If the store's clock jumps, a turn looks silent, but only until its next heartbeat.
            await self.clock.sleep(2 * self.policy.heartbeat)
            return await self._is_silent(turn_ref)
        is_in_contact = self.log.healthy_for() >= self.policy.dead_after
        if is_in_contact or self.runner.is_running(turn_ref.turn_id):
            return False
        return await self._has_lost_its_process(turn_ref)

    def found(self, turn_id: TurnId) -> None:
        """Note that this turn's log was just read."""
        self.missing.found(turn_id)

    async def _has_lost_its_process(self, turn_ref: TurnRef) -> bool:
        try:
            turn = (await self.store.load(turn_ref.conversation, last=1)).open_turn
        except ConversationNotFound:
            return False
        if turn is None or turn.id != turn_ref.turn_id or turn.process is None:
            return False
        return self.lease.has_ended(turn.process)

    async def _is_silent(self, turn_ref: TurnRef) -> bool:
        return await self._silence(turn_ref) >= self.policy.dead_after

    async def _silence(self, turn_ref: TurnRef) -> timedelta:
        try:
            silence = await self.log.silence(turn_ref)
        except TurnLogNotFound:
            # A running writer opens a lost log again, so a log that stays lost has no writer.
            now = self.clock.monotonic()
            return min(now - self.missing.since(turn_ref.turn_id, now), self.log.healthy_for())
        self.found(turn_ref.turn_id)
        return silence


@frozen(kw_only=True)
class SettleTurn:
    """Ends turns whose process has died, with the pieces that their logs still have."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    telemetry: Telemetry
    watch: TurnWatch

    async def if_dead(self, turn_ref: TurnRef) -> bool:
        """Settle the turn if no process runs it.

        Returns True if the turn is closed, or its conversation no longer exists.

        Raises:
            PortError: the store failed.
        """
        pieces = await self._pieces_of_dead(turn_ref)
        if pieces is None:
            return False
        await self._settle(turn_ref, pieces)
        return True

    async def load(self, ref: ConversationRef, *, last: Extent = None) -> Conversation:
        """As ``ConversationStateStore.load``, but a dead turn is settled first.

        If the store accepts no writes at the moment, the result is what settling would store.

        Raises:
            ConversationNotFound: it does not exist.
            PortError: the conversation could not be read.
        """
        conversation = await self.store.load(ref, last=last)
        turn = conversation.open_turn
        if turn is None:
            return conversation
        turn_ref = TurnRef(ref, turn.id)
        try:
            pieces = await self._pieces_of_dead(turn_ref)
        except (StoreUnavailable, StoredStateUnreadable):
            # The conversation can be read, so a log that cannot must not hide it.
            return conversation
        if pieces is None:
            return conversation
        try:
            await self._settle(turn_ref, pieces)
        except (StoreUnavailable, ConversationBusy):
            return tail_of(settle(conversation, turn.id, pieces, self.clock.now()), last)
        return await self.store.load(ref, last=last)

    async def _pieces_of_dead(self, turn_ref: TurnRef) -> Sequence[Piece] | None:
        """What the log still has of the turn's reply; None if a process runs the turn."""
        # An end in the log of an open turn means that the writer could not store the reply. While
        # the watch looks twice, somebody else may settle the turn; then the log has an end as well.
        is_over = await self._has_end(turn_ref) or await self.watch.is_dead(turn_ref)
        if not is_over and not await self._has_end(turn_ref):
            return None
        return [numbered.piece for numbered in (await self._logged(turn_ref, 0)).pieces]

    async def _settle(self, turn_ref: TurnRef, pieces: Sequence[Piece]) -> None:
        ref, now = turn_ref.conversation, self.clock.now()
        is_first = False

        def close(conversation: Conversation) -> Conversation:
            nonlocal is_first
            closed = settle(conversation, turn_ref.turn_id, pieces, now)
            is_first = closed is not conversation
            return closed

        try:
            settled = await self.store.update(ref, close, last=1)
        except (TurnSuperseded, ConversationNotFound):
            return
        if settled.turn is not None:
            await self.log.end(ref, settled.turn, end_of(settled, settled.turn))
        if is_first:
            self.telemetry.emit("turn.settled", session_id=ref.session_id, pieces=len(pieces))

    async def _has_end(self, turn_ref: TurnRef) -> bool:
        return (await self._logged(turn_ref, AFTER_ALL_PIECES)).end is not None

    async def _logged(self, turn_ref: TurnRef, after: int) -> Batch:
        try:
            return await self.log.read(turn_ref, after, _AT_ONCE)
        except TurnLogNotFound:
            return Batch()


@frozen(kw_only=True)
class AbandonTurn:
    """Fails a turn that no process runs, so that no request waits for it."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def __call__(self, turn_ref: TurnRef) -> None:
        """Close the turn if it is open, retrying for ``TurnPolicy.save_timeout``.

        Its Idempotency-Key is released. If the client sends the message again, it replaces the
        unanswered one. Nothing is raised: a turn that cannot be closed is settled later, like a
        turn whose process died.
        """
        closed_at = self.clock.now()

        def close(conversation: Conversation) -> Conversation:
            turn = conversation.open_turn
            if turn is None or turn.id != turn_ref.turn_id:
                return conversation
            return fail(conversation, turn.id, (), closed_at, StoreUnavailable.code)

        async def attempt() -> None:
            conversation = await self.store.update(turn_ref.conversation, close, last=1)
            if conversation.turn is not None and conversation.turn.id == turn_ref.turn_id:
                end = TurnEnd(outcome=Outcome.FAILED, error=StoreUnavailable.code)
                await self.log.end(turn_ref.conversation, conversation.turn, end)

        ignored = (ConversationNotFound, StoredStateUnreadable, StoreUnavailable, ConversationBusy)
        with suppress(*ignored):
            await retrying(attempt, self.clock, self.policy.save_timeout)
