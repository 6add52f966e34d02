"""Starting a turn: what every way of asking for a reply has in common.

Opening a turn when another may still be open: rejecting, making it stop, settling a dead one.

Closing a turn that may have been opened although its opening seemed to fail.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, TurnInProgress, TurnSuperseded
from domain.model.identifiers import ConversationRef, Owner, SessionId, TurnId, TurnRef
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.turn import IdempotencyKey, Outcome, Turn, TurnEnd, TurnPolicy
from domain.service.reply_reading import end_of
from domain.service.turn_lifecycle import NewTurn, fail, settle
from entrypoints.usecases.follow_turn import TurnWatch
from entrypoints.usecases.run_turn import RunTurn
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import (
    ConversationBusy,
    StoredStateUnreadable,
    StoreUnavailable,
    TooManyRequests,
    TurnLogNotFound,
)
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import Quota, RateLimiter
from ports.telemetry import Telemetry
from ports.turn_log import Batch, TurnLog
from ports.turn_runner import Signals, TurnRunner

_RETRY_PAUSE: Final = timedelta(milliseconds=500)
_ERROR: Final = StoreUnavailable.code


@frozen(kw_only=True)
class AbandonTurn:
    """Fails a turn that nobody runs, so that nobody waits for it."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def __call__(self, turn_ref: TurnRef) -> None:
        """Close the turn if it is there and open; tried as long as a reply would be.

        Its request key is free again, and the same words said again take the unanswered ones'
        place. Nothing is raised: what cannot be closed is settled as a dead process's turn.
        """
        deadline = self.clock.monotonic() + self.policy.save_timeout
        while True:
            try:
                return await self._closed(turn_ref)
            except (ConversationNotFound, StoredStateUnreadable):
                return None
            except (StoreUnavailable, ConversationBusy):
                if self.clock.monotonic() >= deadline:
                    return None
            await self.clock.sleep(_RETRY_PAUSE)

    async def _closed(self, turn_ref: TurnRef) -> None:
        at = self.clock.now()
        known = await self.store.update(
            turn_ref.conversation, lambda known: _abandoned(known, turn_ref.turn_id, at), last=1
        )
        if known.turn is not None and known.turn.id == turn_ref.turn_id:
            end = TurnEnd(outcome=Outcome.FAILED, error=_ERROR)
            await self.log.end(turn_ref.conversation, known.turn, end)


def _abandoned(known: Conversation, turn_id: TurnId, at: datetime) -> Conversation:
    turn = known.open_turn
    return known if turn is None or turn.id != turn_id else fail(known, turn_id, (), at, _ERROR)


@frozen(kw_only=True)
class Started:
    """A turn to follow.

    Attributes:
        conversation: as it was stored when the turn was opened, or joined.
        turn: the turn; another request's when this one repeats it.
        restarted: whether the conversation that was asked for is gone and a new one was begun.
    """

    conversation: Conversation
    turn: Turn
    restarted: bool = False


@frozen(kw_only=True)
class StartTurn:
    """Opens a turn and has its reply made, both apart from the caller."""

    runner: TurnRunner
    run_turn: RunTurn
    abandon_turn: AbandonTurn
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    def new_turn(self, idempotency: IdempotencyKey | None = None) -> NewTurn:
        """The names and the time of a new turn."""
        return NewTurn(
            turn_id=self.identifiers.turn_id(),
            reply_id=self.identifiers.message_id(),
            at=self.clock.now(),
            idempotency=idempotency,
        )

    async def __call__(
        self,
        owner: Owner,
        new_turn: NewTurn,
        open_it: Callable[[], Awaitable[Conversation]],
        *,
        address: str,
        tried: Sequence[SessionId],
        options: ReplyOptions = DEFAULT_OPTIONS,
    ) -> Conversation:
        """What ``open_it`` stored; the reply, as ``options`` has it, is being made from now on.

        The last of ``tried`` is where ``open_it`` tried to open the turn: when the store does not
        tell whether it did, the turn is closed there.

        Raises:
            TooManyTurns, ShuttingDown: ``open_it`` was not called.
            Exception: whatever ``open_it`` raised.
        """

        async def replying(conversation: Conversation, signals: Signals) -> None:
            stored = await self.run_turn(owner, conversation, signals, options)
            # What is said is said: a share that is used up stops the next request, not this reply.
            with suppress(TooManyRequests):
                await self.limiter.consume(address, Quota.STORED, stored)

        async def abandoning() -> None:
            for session_id in tried[-1:]:
                await self.abandon_turn(
                    TurnRef(ConversationRef(owner, session_id), new_turn.turn_id)
                )

        return await self.runner.run(new_turn.turn_id, open_it, replying, abandoning)


TURN_WINDOW: Final = 200
"""How many messages are loaded for a turn; the model's budget seldom holds more."""

_ONLY_THE_END: Final = 2**53
_AT_ONCE: Final = timedelta()


class OnBusy(Enum):
    """What to do about a reply that is still being written."""

    REJECT = "reject"
    INTERRUPT = "interrupt"


@frozen(kw_only=True)
class OpenTurn:
    """Opens a turn with the change it is given; the open turn is the conversation's lock."""

    store: ConversationStateStore
    log: TurnLog
    runner: TurnRunner
    clock: Clock
    policy: TurnPolicy
    telemetry: Telemetry
    watch: TurnWatch

    async def __call__(
        self,
        ref: ConversationRef,
        change: Change,
        on_busy: OnBusy,
        turn_id: TurnId | None,
    ) -> Conversation:
        """The conversation after ``change``, which opens ``turn_id`` or joins the one it repeats.

        Without ``turn_id`` it opens none, and is refused while one is open. The newest messages
        come along. A dead turn is settled, also one that would be joined.

        Raises:
            TurnInProgress: another turn is open, and either it is not to be interrupted or it did
                not end in time.
            DomainError: whatever ``change`` raises.
            PortError: the store failed.
        """
        deadline = self.clock.monotonic() + self.policy.stop_timeout
        while True:
            try:
                known = await self.store.update(ref, change, last=TURN_WINDOW)
                joined = known.open_turn
                if joined is None or joined.id == turn_id:
                    return known
                if not await self._settled(TurnRef(ref, joined.id)):
                    return known
            except TurnInProgress as busy:
                other = TurnId(busy.turn_id)
                if await self._settled(TurnRef(ref, other)):
                    continue
                may_stop = on_busy is OnBusy.INTERRUPT and busy.can_interrupt
                if not may_stop or self.clock.monotonic() >= deadline:
                    raise
                await self.stop_and_wait(TurnRef(ref, other))

    async def stop_and_wait(self, turn_ref: TurnRef) -> bool:
        """Stop this turn and wait, within the policy's bound, for its end; whether it has ended."""
        deadline = self.clock.monotonic() + self.policy.stop_timeout
        while (left := deadline - self.clock.monotonic()) > _AT_ONCE:
            # Asked for again each time: a log that was lost comes back without it.
            await self.log.stop(turn_ref)
            self.runner.wake(turn_ref.turn_id)
            wait = min(left, self.policy.heartbeat)
            if await self._ended(turn_ref, wait):
                return True
            if await self._settled(turn_ref):
                return True
        return False

    async def _ended(self, turn_ref: TurnRef, wait: timedelta) -> bool:
        try:
            return (await self.log.read(turn_ref, _ONLY_THE_END, wait)).end is not None
        except TurnLogNotFound:
            pass
        try:
            turn = (await self.store.load(turn_ref.conversation, last=1)).open_turn
        except ConversationNotFound:
            return True
        if turn is not None and turn.id == turn_ref.turn_id:
            await self.clock.sleep(wait)
            return False
        return True

    async def _settled(self, turn_ref: TurnRef) -> bool:
        batch = await self._logged(turn_ref)
        # An end that was announced and never stored leaves nobody to wait for.
        if batch.end is None and not await self.watch.is_dead(turn_ref):
            return False
        pieces = [numbered.piece for numbered in batch.pieces]
        now = self.clock.now()
        try:
            known = await self.store.update(
                turn_ref.conversation, lambda known: settle(known, turn_ref.turn_id, pieces, now)
            )
        except TurnSuperseded:
            return True
        if known.turn is not None:
            await self.log.end(turn_ref.conversation, known.turn, end_of(known, known.turn))
        self.telemetry.emit(
            "turn.settled", session_id=turn_ref.conversation.session_id, pieces=len(pieces)
        )
        return True

    async def _logged(self, turn_ref: TurnRef) -> Batch:
        try:
            return await self.log.read(turn_ref, 0, _AT_ONCE)
        except TurnLogNotFound:
            return Batch()
