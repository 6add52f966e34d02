"""Shares counted in this process's memory, by the `limits` package over a store that has our clock.

Its own memory storage tells the time by itself and starts a thread.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from limits import RateLimitItemPerHour
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from ports.clock import Clock
from ports.errors import TooManyRequests
from ports.rate_limiter import Quota

_ONE_SITE: Final = 64
MOST_COUNTERS: Final = 200_000
"""The oldest leave when there are more: an attacker has addresses without number, we have not."""


class _ClockedStorage(Storage):
    """Counters that expire by our clock."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._counters: OrderedDict[str, tuple[int, timedelta]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, until = self._counter(key, timedelta(seconds=expiry))
        if not count:
            # Behind the others: all stay equally long, so the first is the next to expire.
            self._counters.pop(key, None)
        self._counters[key] = (count + amount, until)
        self._drop_old()
        return count + amount

    async def get(self, key: str) -> int:
        return self._counter(key, timedelta())[0]

    async def get_expiry(self, key: str) -> float:
        return self._counter(key, timedelta())[1].total_seconds()

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        count = len(self._counters)
        self._counters.clear()
        return count

    async def clear(self, key: str) -> None:
        self._counters.pop(key, None)

    def _counter(self, key: str, expiry: timedelta) -> tuple[int, timedelta]:
        now = self._clock.monotonic()
        count, until = self._counters.get(key, (0, now + expiry))
        return (count, until) if until > now else (0, now + expiry)

    def _drop_old(self) -> None:
        now = self._clock.monotonic()
        while self._counters:
            oldest = next(iter(self._counters))
            if self._counters[oldest][1] > now and len(self._counters) <= MOST_COUNTERS:
                return
            self._counters.popitem(last=False)


class InMemoryRateLimiter:
    """Counts by address and hour; an IPv6 address counts as its site, the first 64 bits."""

    def __init__(
        self,
        *,
        clock: Clock,
        per_hour: Mapping[Quota, int],
        pseudonym: Callable[[str], str],
    ) -> None:
        """``pseudonym`` stands in for addresses, which are not kept."""
        self._clock = clock
        self._pseudonym = pseudonym
        self._storage = _ClockedStorage(clock)
        self._strategy = FixedWindowRateLimiter(self._storage)
        self._items = {quota: RateLimitItemPerHour(most) for quota, most in per_hour.items()}

    async def consume(self, address: str, quota: Quota, amount: int = 1) -> None:
        """See ``ports.rate_limiter.RateLimiter.consume``."""
        item, name = self._items[quota], self._pseudonym(_site(address))
        # Asked first: a hit that is refused would be counted all the same.
        if not await self._strategy.test(item, quota.value, name, cost=amount):
            until = await self._storage.get_expiry(item.key_for(quota.value, name))
            left = timedelta(seconds=until) - self._clock.monotonic()
            raise TooManyRequests(retry_after=max(left, timedelta(seconds=1)))
        await self._strategy.hit(item, quota.value, name, cost=amount)


def _site(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return str(known)
    mapped = known.ipv4_mapped
    return str(mapped or ip_network((known, _ONE_SITE), strict=False))
