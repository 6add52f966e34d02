"""Which counters a charge moves, and when a counter refuses."""

import pytest

from domain.model.rate_limits import DAY, HOUR, Charge, Limit, Payer, Quota, Scope
from domain.service.rate_limiting import (
    Counter,
    counters_of,
    current,
    excess,
    microseconds,
    moved,
    remaining,
)

NOW = 1_000_000_000.0
LIMIT = Limit(quota=Quota.NEW, scope=Scope.ADDRESS, amount=3, window=HOUR)
TWENTY_MINUTES = microseconds(HOUR) / 3
PAYER = Payer(client_key="a key", address="an address")


def a_counter(amount: int = 1) -> Counter:
    return Counter(limit=LIMIT, subject="somebody", amount=amount)


def test_a_charge_moves_the_counters_of_its_quotas_and_scopes() -> None:
    limits = [
        Limit(quota=quota, scope=scope, amount=1, window=DAY)
        for quota in (Quota.NEW, Quota.TOKENS)
        for scope in Scope
    ]
    charge = Charge(payer=PAYER, amounts={Quota.NEW: 2, Quota.TOKENS: 0}, conversation="c")

    counters = counters_of(limits, charge)
    assert [(counter.limit.scope, counter.subject) for counter in counters] == [
        (Scope.CLIENT_KEY, "a key"),
        (Scope.CONVERSATION, "c"),
        (Scope.ADDRESS, "an address"),
        (Scope.TOTAL, "all"),
    ]
    assert {counter.limit.quota for counter in counters} == {Quota.NEW}


def test_an_unused_counter_has_room_for_the_whole_amount() -> None:
    whole = a_counter(3)

    assert excess(whole, moved(whole, None, NOW), NOW) == 0
    used_once = moved(a_counter(), None, NOW)
    assert excess(whole, moved(whole, used_once, NOW), NOW) == TWENTY_MINUTES


def test_more_than_the_whole_amount_counts_as_the_whole_amount() -> None:
    assert a_counter(4).cost == a_counter(3).cost == microseconds(HOUR)
    assert a_counter(-4).cost == -microseconds(HOUR)


def test_a_counter_far_in_the_future_comes_from_a_clock_that_was_set_back() -> None:
    stored = NOW + 24 * microseconds(HOUR)

    assert current(a_counter(), stored, NOW) == NOW
    assert moved(a_counter(), stored, NOW) == NOW + TWENTY_MINUTES


def test_what_is_owed_delays_the_next_use() -> None:
    owed = NOW + 2 * microseconds(HOUR)

    assert current(a_counter(), owed, NOW) == owed
    assert excess(a_counter(), moved(a_counter(), owed, NOW), NOW) == 4 * TWENTY_MINUTES


def test_a_counter_in_the_past_counts_as_unused() -> None:
    assert moved(a_counter(), NOW - 5, NOW) == NOW + TWENTY_MINUTES


def test_giving_back_never_makes_more_available_than_the_limit() -> None:
    assert moved(a_counter(-9), NOW + TWENTY_MINUTES, NOW) == NOW
    assert excess(a_counter(-1), NOW + 9 * TWENTY_MINUTES, NOW) == 0


@pytest.mark.parametrize(("left", "amount"), [(0.0, 0), (0.9, 0), (1.0, 1), (2.5, 2), (3.0, 3)])
def test_what_remains_is_counted_in_whole_units(left: float, amount: int) -> None:
    assert remaining(LIMIT, left * TWENTY_MINUTES) == amount
