"""The time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Reads the time and waits."""

    def now(self) -> datetime:
        """The time, aware UTC. It may jump: measure durations with ``monotonic``."""
        ...

    def monotonic(self) -> timedelta:
        """The time since a fixed moment; it never goes backwards."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Return after ``duration``."""
        ...
