"""The clock of the machine."""

import asyncio
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Reads the operating system's time and sleeps with asyncio."""

    def now(self) -> datetime:
        """See ``ports.clock.Clock.now``."""
        return datetime.now(UTC)

    def monotonic(self) -> timedelta:
        """See ``ports.clock.Clock.monotonic``."""
        return timedelta(seconds=time.monotonic())

    async def sleep(self, duration: timedelta) -> None:
        """See ``ports.clock.Clock.sleep``."""
        await asyncio.sleep(duration.total_seconds())
