"""What every rate limiter promises: see ``ports.rate_limiter``."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.rate_limits import (
    DAY,
    HOUR,
    MINUTE,
    SLOT_LEASE,
    Charge,
    Payer,
    Quota,
    Scope,
    TurnSlot,
)
from ports.errors import BudgetExhausted, TooManyRequests
from ports.rate_limiter import RateLimiter
from tests.contract.adapters import LIMITERS, Limited, PassTime
from tests.support.builders import a_limit

HERE = Payer(client_key="a key", address="here")
THERE = Payer(client_key="another key", address="there")
LIMITS = (
    a_limit(Quota.NEW, 3),
    a_limit(Quota.STORED_BYTES, 100),
    a_limit(Quota.MESSAGES, 6, Scope.CLIENT_KEY, MINUTE),
    a_limit(Quota.MESSAGES, 4, Scope.CONVERSATION, MINUTE),
    a_limit(Quota.TOKENS, 1_000, Scope.CLIENT_KEY),
    a_limit(Quota.TOKENS, 1_500, Scope.TOTAL, DAY),
    a_limit(Quota.OPEN_TURNS, 2, Scope.CLIENT_KEY, None),
    a_limit(Quota.OPEN_TURNS, 3, Scope.ADDRESS, None),
)


@pytest.fixture(params=sorted(LIMITERS))
async def limited(request: pytest.FixtureRequest) -> AsyncIterator[Limited]:
    async with LIMITERS[request.param](LIMITS) as limited:
        yield limited


@pytest.fixture
def limiter(limited: Limited) -> RateLimiter:
    return limited.limiter


@pytest.fixture
def pass_time(limited: Limited) -> PassTime:
    return limited.pass_time


def a_charge(quota: Quota, amount: int = 1, payer: Payer = HERE) -> Charge:
    return Charge(payer=payer, amounts={quota: amount})


def a_slot(conversation: str, payer: Payer = HERE, holder: str = "a turn") -> TurnSlot:
    return TurnSlot(payer=payer, conversation=conversation, holder=holder)


async def refusal(
    limiter: RateLimiter, charge: Charge, slot: TurnSlot | None = None
) -> TooManyRequests | None:
    try:
        await limiter.consume(charge, slot)
    except TooManyRequests as refused:
        return refused
    return None


async def is_refused(limiter: RateLimiter, charge: Charge, slot: TurnSlot | None = None) -> bool:
    return await refusal(limiter, charge, slot) is not None


NOTHING = Charge(payer=HERE, amounts={})


async def open_turn(limiter: RateLimiter, slot: TurnSlot) -> bool:
    """Whether the turn was let in."""
    return not await is_refused(limiter, evolve(NOTHING, payer=slot.payer), slot)


async def test_a_quota_can_be_used_up(limiter: RateLimiter) -> None:
    refused = [await is_refused(limiter, a_charge(Quota.NEW)) for _ in range(5)]

    assert refused == [False, False, False, True, True]


async def test_a_refused_charge_counts_nothing_at_all(limiter: RateLimiter) -> None:
    await limiter.consume(a_charge(Quota.STORED_BYTES, 60))
    both = Charge(payer=HERE, amounts={Quota.NEW: 3, Quota.STORED_BYTES: 60})
    assert await is_refused(limiter, both)

    assert not await is_refused(limiter, a_charge(Quota.STORED_BYTES, 39))
    assert not await is_refused(limiter, a_charge(Quota.NEW, 3))


async def test_payers_and_quotas_are_counted_separately(limiter: RateLimiter) -> None:
    await limiter.consume(a_charge(Quota.NEW, 3))

    assert not await is_refused(limiter, a_charge(Quota.NEW, payer=THERE))
    assert not await is_refused(limiter, a_charge(Quota.STORED_BYTES))
    assert await is_refused(limiter, a_charge(Quota.NEW))


async def test_each_scope_has_its_own_counter(limiter: RateLimiter) -> None:
    here = Charge(payer=HERE, amounts={Quota.MESSAGES: 4}, conversation="one")
    there = Charge(payer=THERE, amounts={Quota.MESSAGES: 1}, conversation="one")
    await limiter.consume(here)
    by_conversation = await refusal(limiter, there)
    by_key = await refusal(limiter, evolve(here, conversation="two", amounts={Quota.MESSAGES: 3}))

    assert by_conversation is not None
    assert by_key is not None
    assert by_conversation.limit.scope is Scope.CONVERSATION
    assert by_key.limit.scope is Scope.CLIENT_KEY


async def test_a_payer_without_an_address_is_not_limited_by_one(limiter: RateLimiter) -> None:
    app_server = Payer(client_key="a person", address=None)

    assert not await is_refused(limiter, a_charge(Quota.NEW, 1_000, app_server))


async def test_what_was_used_becomes_available_again_little_by_little(
    limiter: RateLimiter, pass_time: PassTime
) -> None:
    await limiter.consume(a_charge(Quota.NEW, 3))
    await pass_time(timedelta(minutes=19))
    assert await is_refused(limiter, a_charge(Quota.NEW))
    await pass_time(timedelta(minutes=1))
    assert not await is_refused(limiter, a_charge(Quota.NEW))
    assert await is_refused(limiter, a_charge(Quota.NEW))
    await pass_time(HOUR)

    assert not await is_refused(limiter, a_charge(Quota.NEW, 3))


async def test_a_refusal_says_what_is_left_and_when_to_retry(
    limiter: RateLimiter, pass_time: PassTime
) -> None:
    await limiter.consume(a_charge(Quota.STORED_BYTES, 80))
    refused = await refusal(limiter, a_charge(Quota.STORED_BYTES, 50))

    assert refused is not None
    assert refused.limit == LIMITS[1]
    assert refused.remaining == 20
    assert HOUR * 0.29 < refused.retry_after <= HOUR * 0.3
    await pass_time(refused.retry_after)
    assert not await is_refused(limiter, a_charge(Quota.STORED_BYTES, 50))


async def test_a_used_up_daily_budget_is_an_error_of_its_own(limiter: RateLimiter) -> None:
    await limiter.settle(a_charge(Quota.TOKENS, 900))
    await limiter.settle(a_charge(Quota.TOKENS, 900, THERE))

    assert isinstance(await refusal(limiter, a_charge(Quota.TOKENS)), BudgetExhausted)


async def test_what_exceeds_a_limit_is_owed_up_to_the_amount_of_the_limit(
    limiter: RateLimiter, pass_time: PassTime
) -> None:
    for _ in range(3):
        await limiter.settle(a_charge(Quota.STORED_BYTES, 5_000))
    refused = await refusal(limiter, a_charge(Quota.STORED_BYTES))
    await pass_time(HOUR * 0.9)
    assert await is_refused(limiter, a_charge(Quota.STORED_BYTES))
    await pass_time(HOUR * 0.6)

    assert refused is not None
    assert refused.remaining == 0
    assert refused.retry_after > HOUR
    assert await is_refused(limiter, a_charge(Quota.STORED_BYTES, 51))
    assert not await is_refused(limiter, a_charge(Quota.STORED_BYTES, 49))


async def test_what_was_not_used_can_be_given_back(limiter: RateLimiter) -> None:
    await limiter.consume(a_charge(Quota.NEW, 3))
    await limiter.settle(a_charge(Quota.NEW, -1))
    await limiter.settle(a_charge(Quota.STORED_BYTES, -50))

    assert not await is_refused(limiter, a_charge(Quota.NEW))
    assert await is_refused(limiter, a_charge(Quota.NEW))
    assert not await is_refused(limiter, a_charge(Quota.STORED_BYTES, 100))
    assert await is_refused(limiter, a_charge(Quota.STORED_BYTES))


async def test_more_than_a_whole_limit_is_possible_while_nothing_is_used(
    limiter: RateLimiter,
) -> None:
    await limiter.consume(a_charge(Quota.STORED_BYTES, 1, THERE))

    assert not await is_refused(limiter, a_charge(Quota.STORED_BYTES, 250))
    assert await is_refused(limiter, a_charge(Quota.STORED_BYTES))
    assert await is_refused(limiter, a_charge(Quota.STORED_BYTES, 250, THERE))


async def test_using_nothing_is_always_allowed(limiter: RateLimiter) -> None:
    await limiter.consume(a_charge(Quota.STORED_BYTES, 100))

    assert not await is_refused(limiter, a_charge(Quota.STORED_BYTES, 0))


async def test_open_turns_are_limited_per_client_key(limiter: RateLimiter) -> None:
    opened = [await open_turn(limiter, a_slot(name)) for name in ("one", "two", "three")]
    refused = await refusal(limiter, NOTHING, a_slot("three"))
    await limiter.settle(NOTHING, a_slot("one"))

    assert opened == [True, True, False]
    assert refused is not None
    assert refused.limit.quota is Quota.OPEN_TURNS
    assert refused.retry_after > timedelta(0)
    assert await open_turn(limiter, a_slot("three"))


async def test_open_turns_are_limited_per_address(limiter: RateLimiter) -> None:
    neighbours = [Payer(client_key=f"key {number}", address="here") for number in range(4)]
    opened = [
        await open_turn(limiter, a_slot(f"conversation {number}", neighbours[number]))
        for number in range(4)
    ]

    assert opened == [True, True, True, False]


async def test_a_turn_that_is_refused_takes_no_slot_and_counts_nothing(
    limiter: RateLimiter,
) -> None:
    await open_turn(limiter, a_slot("one"))
    await open_turn(limiter, a_slot("two"))
    refused = [await is_refused(limiter, a_charge(Quota.NEW), a_slot("three")) for _ in range(5)]
    await limiter.consume(a_charge(Quota.NEW))
    over_quota = await is_refused(limiter, a_charge(Quota.NEW, 3), a_slot("one"))

    assert all(refused)
    assert over_quota
    assert not await is_refused(limiter, a_charge(Quota.NEW, 2))


async def test_turns_of_one_conversation_share_a_slot(limiter: RateLimiter) -> None:
    await open_turn(limiter, a_slot("one"))
    await open_turn(limiter, a_slot("two"))
    newer = a_slot("one", holder="a newer turn")

    assert not await limiter.consume(NOTHING, newer)
    await limiter.settle(NOTHING, newer)
    assert not await open_turn(limiter, a_slot("three"))
    await limiter.hold(newer)
    await limiter.settle(NOTHING, a_slot("one"))
    assert not await open_turn(limiter, a_slot("three"))
    await limiter.settle(NOTHING, newer)
    assert await open_turn(limiter, a_slot("three"))


async def test_a_repeated_request_has_its_own_slot(limiter: RateLimiter) -> None:
    assert await limiter.consume(NOTHING, a_slot("one"))
    assert await limiter.consume(NOTHING, a_slot("one"))


async def test_the_slots_of_a_dead_process_become_free(
    limiter: RateLimiter, pass_time: PassTime
) -> None:
    await open_turn(limiter, a_slot("one"))
    await open_turn(limiter, a_slot("two"))
    await pass_time(SLOT_LEASE / 2)
    await limiter.hold(a_slot("one"))
    await pass_time(SLOT_LEASE / 2)

    assert await open_turn(limiter, a_slot("three"))
    assert not await open_turn(limiter, a_slot("four"))
