"""Telling turns whose process has died from those that are only quiet."""

from collections import OrderedDict
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.turn_policy import TurnPolicy
from ports.clock import Clock
from ports.errors import TurnNotLogged
from ports.turn_log import TurnLog

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

    async def is_dead(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> bool:
        """Whether this open turn has been silent for so long that nobody runs it any more.

        Raises:
            StoreUnavailable: nobody can tell.
        """
        return await self._silence(owner, session_id, turn_id) >= self.policy.dead_after

    def found(self, turn_id: TurnId) -> None:
        """Its log was just read."""
        self.missing.found(turn_id)

    async def _silence(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> timedelta:
        try:
            silence = await self.log.silence(owner, session_id, turn_id)
        except TurnNotLogged:
            # A living writer opens a lost log again, so one that stays away has no writer.
            now = self.clock.monotonic()
            return min(now - self.missing.since(turn_id, now), self.log.in_reach_for())
        self.found(turn_id)
        return silence
