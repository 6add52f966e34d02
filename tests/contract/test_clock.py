"""The promises of every clock: see ``ports.clock``."""

from datetime import timedelta

import pytest

from ports.clock import Clock
from tests.contract.adapters import CLOCKS


@pytest.fixture(params=sorted(CLOCKS))
def clock(request: pytest.FixtureRequest) -> Clock:
    return CLOCKS[request.param]()


def test_the_time_is_aware_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_monotonic_time_never_goes_back(clock: Clock) -> None:
    times = [clock.monotonic() for _ in range(100)]

    assert times == sorted(times)


async def test_sleep_lasts_at_least_its_duration(clock: Clock) -> None:
    before = clock.monotonic()
    await clock.sleep(timedelta(milliseconds=2))

    assert clock.monotonic() - before >= timedelta(milliseconds=2)


async def test_a_sleep_of_zero_returns(clock: Clock) -> None:
    await clock.sleep(timedelta())
