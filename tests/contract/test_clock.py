"""What every clock promises: see ``ports.clock``."""

from datetime import timedelta

import pytest

from ports.clock import Clock
from tests.contract.adapters import CLOCKS


@pytest.fixture(params=sorted(CLOCKS))
def clock(request: pytest.FixtureRequest) -> Clock:
    return CLOCKS[request.param]()


def test_the_time_is_aware_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_durations_never_go_back(clock: Clock) -> None:
    times = [clock.monotonic() for _ in range(100)]

    assert times == sorted(times)


async def test_sleep_takes_its_time(clock: Clock) -> None:
    before = clock.monotonic()
    await clock.sleep(timedelta(milliseconds=2))

    assert clock.monotonic() - before >= timedelta(milliseconds=2)


async def test_no_sleep_is_no_wait(clock: Clock) -> None:
    await clock.sleep(timedelta())
