"""Clocks that tests advance."""

import asyncio
from datetime import UTC, datetime, timedelta

from adapters.system.clock import SystemClock

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class ManualClock:
    """Stands still until it is advanced; sleepers wake when their time is reached."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._passed = timedelta(hours=1)
        self._advanced = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> timedelta:
        return self._passed

    async def sleep(self, duration: timedelta) -> None:
        until = self._passed + duration
        while self._passed < until:
            await self._advanced.wait()

    def advance(self, duration: timedelta) -> None:
        self._now += duration
        self._passed += duration
        self._advanced.set()
        self._advanced = asyncio.Event()


class HastyClock(ManualClock):
    """Sleeping takes no real time: it advances the clock instead."""

    async def sleep(self, duration: timedelta) -> None:
        self.advance(duration)
        await asyncio.sleep(0)


class ShiftedClock(SystemClock):
    """Runs as fast as the machine's clock, from noon on, with an offset that tests advance."""

    def __init__(self) -> None:
        self._shift = timedelta()
        self._started = super().monotonic()

    def now(self) -> datetime:
        return NOON + (self.monotonic() - self._started)

    def monotonic(self) -> timedelta:
        return super().monotonic() + self._shift

    def advance(self, duration: timedelta) -> None:
        self._shift += duration
