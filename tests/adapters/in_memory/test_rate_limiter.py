"""Quotas are counted in bounded memory."""

import gc
from datetime import timedelta

import pytest

from adapters.in_memory import rate_limiter
from adapters.in_memory.rate_limiter import InMemoryRateLimiter
from domain.model.rate_limits import Charge, Payer, Quota, TurnSlot
from tests.support.builders import a_limit
from tests.support.clocks import ManualClock

HOUR = timedelta(hours=1)
NAMED = "counted for "


def a_limiter(clock: ManualClock) -> InMemoryRateLimiter:
    limits = (a_limit(Quota.NEW, 1), a_limit(Quota.OPEN_TURNS, 1, window=None))
    return InMemoryRateLimiter(clock=clock, limits=limits)


def at(address: str) -> Charge:
    payer = Payer(client_key=None, address=NAMED + address)
    return Charge(payer=payer, amounts={Quota.NEW: 1})


def counted(prefix: str) -> set[str]:
    """Whose counters are in memory; others may be those of a limiter to be collected."""
    gc.collect()
    found = (one for one in gc.get_objects() if isinstance(one, dict))
    keys = (key for one in found for key in one if isinstance(key, tuple))
    subjects = {subject for key in keys for subject in key if isinstance(subject, str)}
    return {name.removeprefix(NAMED) for name in subjects if name.startswith(NAMED + prefix)}


async def test_counters_leave_memory_once_their_hour_is_over() -> None:
    clock = ManualClock()
    limiter = a_limiter(clock)
    await limiter.consume(at("203.0.113.1"))
    clock.advance(HOUR / 2)
    await limiter.consume(at("203.0.113.2"))
    clock.advance(HOUR / 2)
    await limiter.consume(at("203.0.113.1"))
    clock.advance(HOUR / 2)
    await limiter.consume(at("203.0.113.3"))

    assert counted("203.0.113.") == {"203.0.113.1", "203.0.113.3"}


async def test_the_oldest_counters_are_evicted_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limiter, "MAX_COUNTERS", 3)
    limiter = a_limiter(ManualClock())
    for number in (1, 2, 3, 4):
        await limiter.consume(at(f"198.51.100.{number}"))

    assert counted("198.51.100.") == {"198.51.100.2", "198.51.100.3", "198.51.100.4"}


async def test_the_slots_of_ended_turns_leave_memory() -> None:
    limiter = a_limiter(ManualClock())
    payer = Payer(client_key=None, address=NAMED + "192.0.2.1")
    nothing, slot = (
        Charge(payer=payer, amounts={}),
        TurnSlot(payer=payer, conversation="c", holder="h"),
    )
    await limiter.consume(nothing, slot)
    assert counted("192.0.2.") == {"192.0.2.1"}
    await limiter.settle(nothing, slot)

    assert counted("192.0.2.") == set()
