"""The machine's clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Tells the machine's time and spends it in asyncio."""

    def now(self) -> datetime:
        """See ``ports.clock.Clock.now``."""
        return datetime.now(UTC)

    def monotonic(self) -> timedelta:
        """See ``ports.clock.Clock.monotonic``."""
        return timedelta(seconds=time.monotonic())

    async def sleep(self, duration: timedelta) -> None:
        """See ``ports.clock.Clock.sleep``."""
        await asyncio.sleep(duration.total_seconds())
