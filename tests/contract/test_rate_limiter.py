"""What every rate limiter promises: see ``ports.rate_limiter``.

The quotas are 3 new conversations and 100 bytes per hour.
"""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.rate_limits import Payer
from ports.errors import TooManyRequests
from ports.rate_limiter import Quota, RateLimiter
from tests.contract.adapters import LIMITERS, Limited, PassTime

HERE = Payer(client_key="a key", address="here")
THERE = evolve(HERE, address="there")


@pytest.fixture(params=sorted(LIMITERS))
def limited(request: pytest.FixtureRequest) -> Limited:
    return LIMITERS[request.param]()


@pytest.fixture
def limiter(limited: Limited) -> RateLimiter:
    return limited.limiter


@pytest.fixture
def pass_time(limited: Limited) -> PassTime:
    return limited.pass_time


async def is_refused(limiter: RateLimiter, payer: Payer, quota: Quota, amount: int = 1) -> bool:
    try:
        await limiter.consume(payer, quota, amount)
    except TooManyRequests:
        return True
    return False


async def test_a_quota_can_be_used_up(limiter: RateLimiter) -> None:
    refused = [await is_refused(limiter, HERE, Quota.NEW) for _ in range(5)]

    assert refused == [False, False, False, True, True]


async def test_a_refused_request_consumes_nothing(limiter: RateLimiter) -> None:
    await limiter.consume(HERE, Quota.STORED, 60)
    assert await is_refused(limiter, HERE, Quota.STORED, 60)

    assert not await is_refused(limiter, HERE, Quota.STORED, 40)


async def test_addresses_and_quotas_are_counted_separately(limiter: RateLimiter) -> None:
    await limiter.consume(HERE, Quota.NEW, 3)

    assert not await is_refused(limiter, THERE, Quota.NEW)
    assert not await is_refused(limiter, HERE, Quota.STORED)
    assert await is_refused(limiter, HERE, Quota.NEW)


async def test_after_an_hour_the_whole_quota_is_available_again(
    limiter: RateLimiter, pass_time: PassTime
) -> None:
    await limiter.consume(HERE, Quota.NEW, 3)
    await pass_time(timedelta(minutes=59))
    assert await is_refused(limiter, HERE, Quota.NEW)
    await pass_time(timedelta(minutes=1))

    assert not await is_refused(limiter, HERE, Quota.NEW, 3)


async def test_a_refusal_says_when_to_retry(limiter: RateLimiter, pass_time: PassTime) -> None:
    await limiter.consume(HERE, Quota.NEW, 3)
    await pass_time(timedelta(minutes=40))
    with pytest.raises(TooManyRequests) as refused:
        await limiter.consume(HERE, Quota.NEW)

    assert timedelta(0) < refused.value.retry_after <= timedelta(minutes=20)
    await pass_time(refused.value.retry_after)
    assert not await is_refused(limiter, HERE, Quota.NEW)


async def test_consuming_nothing_is_always_allowed(limiter: RateLimiter) -> None:
    await limiter.consume(HERE, Quota.STORED, 100)

    assert not await is_refused(limiter, HERE, Quota.STORED, 0)
