"""Opening a turn when another may still be open: rejecting, making it stop, settling a dead one."""

from datetime import timedelta
from enum import Enum
from typing import Final

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import TurnInProgress, TurnSuperseded
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.piece import NumberedPiece
from domain.model.turn import TurnEnd
from domain.model.turn_policy import TurnPolicy
from domain.service.turn_ending import settle
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import TurnNotLogged
from ports.telemetry import Telemetry
from ports.turn_log import TurnLog
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

    async def __call__(
        self, owner: Owner, session_id: SessionId, change: Change, on_busy: OnBusy
    ) -> Conversation:
        """The conversation after ``change``, with its newest messages.

        Raises:
            TurnInProgress: another turn is open, and either it is not to be interrupted or it did
                not end in time.
            DomainError: whatever ``change`` raises.
            PortError: the store failed.
        """
        deadline = self.clock.monotonic() + self.policy.make_way_within
        while True:
            try:
                return await self.store.update(owner, session_id, change, last=MESSAGES_AT_HAND)
            except TurnInProgress as busy:
                turn_id = TurnId(busy.turn_id)
                if await self._settled(owner, session_id, turn_id):
                    continue
                if on_busy is OnBusy.REJECT or self.clock.monotonic() >= deadline:
                    raise
                await self.make_way(owner, session_id, turn_id)

    async def make_way(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> bool:
        """Stop this turn and wait, within the policy's bound, for its end; whether it has ended."""
        await self.log.stop(owner, session_id, turn_id)
        self.runner.nudge(turn_id)
        deadline = self.clock.monotonic() + self.policy.make_way_within
        while (left := deadline - self.clock.monotonic()) > _AT_ONCE:
            try:
                entries = await self.log.read(owner, session_id, turn_id, _ONLY_THE_END, left)
            except TurnNotLogged:
                return True
            if any(isinstance(entry, TurnEnd) for entry in entries):
                return True
        return False

    async def _settled(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> bool:
        try:
            entries = await self.log.read(owner, session_id, turn_id, 0, _AT_ONCE)
            # An end that was announced and never stored leaves nobody to wait for.
            has_ended = any(isinstance(entry, TurnEnd) for entry in entries)
            silence = await self.log.silence(owner, session_id, turn_id)
            if not has_ended and silence < self.policy.dead_after:
                return False
        except TurnNotLogged:
            entries = ()
        pieces = [entry.piece for entry in entries if isinstance(entry, NumberedPiece)]
        now = self.clock.now()
        try:
            await self.store.update(
                owner, session_id, lambda known: settle(known, turn_id, pieces, now)
            )
        except TurnSuperseded:
            return True
        self.telemetry.note("turn.settled", session_id=session_id, pieces=len(pieces))
        return True
