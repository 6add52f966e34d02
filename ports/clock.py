"""What time it is."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells and spends time."""

    def now(self) -> datetime:
        """The time, aware UTC. It may jump; measure durations with ``monotonic``."""
        ...

    def monotonic(self) -> timedelta:
        """Time since some fixed moment; it never goes back."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Return after ``duration``."""
        ...
