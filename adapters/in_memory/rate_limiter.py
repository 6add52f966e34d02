"""Quotas counted in this process's memory, in fixed windows of one hour."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from ports.clock import Clock
from ports.errors import TooManyRequests
from ports.rate_limiter import Quota

_WINDOW: Final = timedelta(hours=1)
_SHORTEST_RETRY: Final = timedelta(seconds=1)
_SITE_BITS: Final = 64
MAX_COUNTERS: Final = 200_000
"""Beyond this number, the oldest are evicted: addresses are unlimited, our memory is not."""


class InMemoryRateLimiter:
    """Counts by address; an IPv6 address counts as its site, the first 64 bits."""

    def __init__(
        self,
        *,
        clock: Clock,
        per_hour: Mapping[Quota, int],
        pseudonym: Callable[[str], str],
    ) -> None:
        """``pseudonym`` digests the addresses, which are not stored themselves."""
        self._clock = clock
        self._per_hour = per_hour
        self._pseudonym = pseudonym
        self._counters: OrderedDict[str, tuple[int, timedelta]] = OrderedDict()

    async def consume(self, address: str, quota: Quota, amount: int = 1) -> None:
        """See ``ports.rate_limiter.RateLimiter.consume``."""
        now = self._clock.monotonic()
        self._drop_expired(now)
        key = f"{quota.value}/{self._pseudonym(_site(address))}"
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


def _site(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ip_network((parsed, _SITE_BITS), strict=False))
