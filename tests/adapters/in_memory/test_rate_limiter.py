"""Quotas are counted by address, for an hour, in bounded memory."""

import gc
from datetime import timedelta

import pytest

from adapters.in_memory import rate_limiter
from adapters.in_memory.rate_limiter import InMemoryRateLimiter
from domain.model.rate_limits import Payer
from ports.errors import TooManyRequests
from ports.rate_limiter import Quota
from tests.support.clocks import ManualClock

HOUR = timedelta(hours=1)
NAMED = "counted for "


def at(address: str) -> Payer:
    return Payer(client_key=None, address=NAMED + address)


def a_limiter(clock: ManualClock, most: int = 2) -> InMemoryRateLimiter:
    per_hour = dict.fromkeys(Quota, most)
    return InMemoryRateLimiter(clock=clock, per_hour=per_hour)


async def test_an_hour_later_the_quota_is_available_again() -> None:
    clock = ManualClock()
    limiter = a_limiter(clock)
    await limiter.consume(at("192.0.2.1"), Quota.NEW, 2)
    clock.advance(HOUR / 4)
    with pytest.raises(TooManyRequests) as refused:
        await limiter.consume(at("192.0.2.1"), Quota.NEW)

    clock.advance(refused.value.retry_after)

    assert refused.value.retry_after == HOUR * 3 / 4
    await limiter.consume(at("192.0.2.1"), Quota.NEW, 2)


async def test_an_amount_that_never_fits_does_not_wait_for_an_hour() -> None:
    with pytest.raises(TooManyRequests) as refused:
        await a_limiter(ManualClock()).consume(at("192.0.2.1"), Quota.STORED, 3)

    assert refused.value.retry_after == timedelta(seconds=1)


async def test_a_refused_amount_is_not_counted() -> None:
    limiter = a_limiter(ManualClock())
    with pytest.raises(TooManyRequests):
        await limiter.consume(at("192.0.2.1"), Quota.STORED, 3)

    await limiter.consume(at("192.0.2.1"), Quota.STORED, 2)
    await limiter.consume(at("192.0.2.1"), Quota.NEW, 2)


def counted() -> set[str]:
    """Whose counters are in memory."""
    gc.collect()
    found = (one for one in gc.get_objects() if isinstance(one, dict))
    keys = (key for one in found for key in one if isinstance(key, str) and NAMED in key)
    return {key.rpartition(NAMED)[2].split("/")[0] for key in keys}


async def test_counters_leave_memory_once_their_hour_is_over() -> None:
    clock = ManualClock()
    limiter = a_limiter(clock)
    await limiter.consume(at("203.0.113.1"), Quota.NEW)
    clock.advance(HOUR / 2)
    await limiter.consume(at("203.0.113.2"), Quota.NEW)
    clock.advance(HOUR / 2)
    await limiter.consume(at("203.0.113.1"), Quota.NEW)
    clock.advance(HOUR / 2)
    await limiter.consume(at("203.0.113.3"), Quota.NEW)

    ours = {one for one in counted() if one.startswith("203.0.113.")}
    assert ours == {"203.0.113.1", "203.0.113.3"}


async def test_the_oldest_counters_are_evicted_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limiter, "MAX_COUNTERS", 3)
    limiter = a_limiter(ManualClock())
    for number in (1, 2, 3, 1, 4):
        await limiter.consume(at(f"198.51.100.{number}"), Quota.NEW)

    # Others may be those of a limiter that another test has left to be collected.
    ours = {one for one in counted() if one.startswith("198.51.100.")}
    assert ours == {"198.51.100.2", "198.51.100.3", "198.51.100.4"}
