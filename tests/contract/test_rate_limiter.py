"""What every rate limiter promises: see ``ports.rate_limiter``. Here: 3 new ones, 100 bytes."""

from datetime import timedelta

import pytest

from ports.errors import TooManyRequests
from ports.rate_limiter import RateLimiter, Share
from tests.contract.adapters import LIMITERS, Limited, PassTime

HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(params=sorted(LIMITERS))
def limited(request: pytest.FixtureRequest) -> Limited:
    return LIMITERS[request.param]()


@pytest.fixture
def limiter(limited: Limited) -> RateLimiter:
    return limited.limiter


@pytest.fixture
def pass_time(limited: Limited) -> PassTime:
    return limited.pass_time


async def is_refused(limiter: RateLimiter, address: str, share: Share, amount: int = 1) -> bool:
    try:
        await limiter.spend(address, share, amount)
    except TooManyRequests:
        return True
    return False


async def test_a_share_can_be_used_up(limiter: RateLimiter) -> None:
    refused = [await is_refused(limiter, HERE, Share.NEW) for _ in range(5)]

    assert refused == [False, False, False, True, True]


async def test_what_is_refused_takes_nothing(limiter: RateLimiter) -> None:
    await limiter.spend(HERE, Share.STORED, 60)
    assert await is_refused(limiter, HERE, Share.STORED, 60)

    assert not await is_refused(limiter, HERE, Share.STORED, 40)


async def test_addresses_and_shares_are_counted_apart(limiter: RateLimiter) -> None:
    await limiter.spend(HERE, Share.NEW, 3)

    assert not await is_refused(limiter, THERE, Share.NEW)
    assert not await is_refused(limiter, HERE, Share.STORED)
    assert await is_refused(limiter, HERE, Share.NEW)


async def test_after_an_hour_the_share_is_whole_again(
    limiter: RateLimiter, pass_time: PassTime
) -> None:
    await limiter.spend(HERE, Share.NEW, 3)
    await pass_time(timedelta(minutes=59))
    assert await is_refused(limiter, HERE, Share.NEW)
    await pass_time(timedelta(minutes=1))

    assert not await is_refused(limiter, HERE, Share.NEW, 3)


async def test_who_is_refused_is_told_when_to_come_back(
    limiter: RateLimiter, pass_time: PassTime
) -> None:
    await limiter.spend(HERE, Share.NEW, 3)
    await pass_time(timedelta(minutes=40))
    with pytest.raises(TooManyRequests) as refused:
        await limiter.spend(HERE, Share.NEW)

    assert timedelta(0) < refused.value.retry_after <= timedelta(minutes=20)
    await pass_time(refused.value.retry_after)
    assert not await is_refused(limiter, HERE, Share.NEW)


async def test_nothing_can_be_had_at_any_time(limiter: RateLimiter) -> None:
    await limiter.spend(HERE, Share.STORED, 100)

    assert not await is_refused(limiter, HERE, Share.STORED, 0)
