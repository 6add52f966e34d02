"""Opening a turn when another may still be open: rejecting, making it stop, settling a dead one."""

from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Final

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, TurnInProgress, TurnSuperseded
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.piece import NumberedPiece
from domain.model.turn import TurnEnd
from domain.model.turn_policy import TurnPolicy
from domain.service.replaying import end_of
from domain.service.turn_ending import settle
from entrypoints.usecases.turn_watch import TurnWatch
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import TurnNotLogged
from ports.telemetry import Telemetry
from ports.turn_log import LogEntry, TurnLog
from ports.turn_runner import TurnRunner

MESSAGES_AT_HAND: Final = 200
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
        owner: Owner,
        session_id: SessionId,
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
        deadline = self.clock.monotonic() + self.policy.make_way_within
        while True:
            try:
                known = await self.store.update(owner, session_id, change, last=MESSAGES_AT_HAND)
                joined = known.open_turn
                if joined is None or joined.id == turn_id:
                    return known
                if not await self._settled(owner, session_id, joined.id):
                    return known
            except TurnInProgress as busy:
                other = TurnId(busy.turn_id)
                if await self._settled(owner, session_id, other):
                    continue
                may_stop = on_busy is OnBusy.INTERRUPT and busy.gives_way
                if not may_stop or self.clock.monotonic() >= deadline:
                    raise
                await self.make_way(owner, session_id, other)

    async def make_way(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> bool:
        """Stop this turn and wait, within the policy's bound, for its end; whether it has ended."""
        deadline = self.clock.monotonic() + self.policy.make_way_within
        while (left := deadline - self.clock.monotonic()) > _AT_ONCE:
            # Asked for again each time: a log that was lost comes back without it.
            await self.log.stop(owner, session_id, turn_id)
            self.runner.nudge(turn_id)
            wait = min(left, self.policy.heartbeat)
            if await self._ended(owner, session_id, turn_id, wait):
                return True
            if await self._settled(owner, session_id, turn_id):
                return True
        return False

    async def _ended(
        self, owner: Owner, session_id: SessionId, turn_id: TurnId, wait: timedelta
    ) -> bool:
        try:
            entries = await self.log.read(owner, session_id, turn_id, _ONLY_THE_END, wait)
            return any(isinstance(entry, TurnEnd) for entry in entries)
        except TurnNotLogged:
            pass
        try:
            turn = (await self.store.load(owner, session_id, last=1)).open_turn
        except ConversationNotFound:
            return True
        if turn is not None and turn.id == turn_id:
            await self.clock.sleep(wait)
            return False
        return True

    async def _settled(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> bool:
        entries = await self._logged(owner, session_id, turn_id)
        # An end that was announced and never stored leaves nobody to wait for.
        has_ended = any(isinstance(entry, TurnEnd) for entry in entries)
        if not has_ended and not await self.watch.is_dead(owner, session_id, turn_id):
            return False
        pieces = [entry.piece for entry in entries if isinstance(entry, NumberedPiece)]
        now = self.clock.now()
        try:
            known = await self.store.update(
                owner, session_id, lambda known: settle(known, turn_id, pieces, now)
            )
        except TurnSuperseded:
            return True
        if known.turn is not None:
            await self.log.end(owner, session_id, known.turn, end_of(known, known.turn))
        self.telemetry.note("turn.settled", session_id=session_id, pieces=len(pieces))
        return True

    async def _logged(
        self, owner: Owner, session_id: SessionId, turn_id: TurnId
    ) -> Sequence[LogEntry]:
        try:
            return await self.log.read(owner, session_id, turn_id, 0, _AT_ONCE)
        except TurnNotLogged:
            return ()
