"""Quotas counted in this process's memory, in fixed windows of one hour."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from domain.model.rate_limits import Payer
from ports.clock import Clock
from ports.errors import TooManyRequests
from ports.rate_limiter import Quota

_WINDOW: Final = timedelta(hours=1)
_SHORTEST_RETRY: Final = timedelta(seconds=1)
MAX_COUNTERS: Final = 200_000
"""Beyond this number, the oldest are evicted: addresses are unlimited, our memory is not."""


class InMemoryRateLimiter:
    """Counts by address."""

    def __init__(self, *, clock: Clock, per_hour: Mapping[Quota, int]) -> None:
        """``per_hour`` is what each address may use."""
        self._clock = clock
        self._per_hour = per_hour
        self._counters: OrderedDict[str, tuple[int, timedelta]] = OrderedDict()

    async def consume(self, payer: Payer, quota: Quota, amount: int = 1) -> None:
        """See ``ports.rate_limiter.RateLimiter.consume``."""
        now = self._clock.monotonic()
        self._drop_expired(now)
        key = f"{quota.value}/{payer.address}"
        counter = self._counters.get(key)
        used, expires_at = counter or (0, now)
        if used + amount > self._per_hour[quota]:
            raise TooManyRequests(retry_after=max(expires_at - now, _SHORTEST_RETRY))
        self._counters[key] = (used + amount, expires_at if counter else now + _WINDOW)
        if len(self._counters) > MAX_COUNTERS:
            self._counters.popitem(last=False)

    def _drop_expired(self, now: timedelta) -> None:
        # All windows have the same length, so the oldest counter expires first.
        while self._counters and next(iter(self._counters.values()))[1] <= now:
            self._counters.popitem(last=False)
