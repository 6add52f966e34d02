"""An address gets a share of each pass of the event loop, and nobody else waits for the rest."""

import asyncio
from collections.abc import Callable

import pytest

from entrypoints.http.fair_shares import CALLS_AT_ONCE, MAX_WAITING_BYTES, FairShares

Log = list[tuple[str, int]]
MANY = 10 * CALLS_AT_ONCE


def call(shares: FairShares, address: str, number: int, log: Log) -> None:
    if shares.take(address):
        log.append((address, number))
    else:
        shares.wait(address, lambda: log.append((address, number)))


async def until(condition: Callable[[], bool]) -> int:
    """How many passes of the loop it takes until ``condition`` holds."""
    passes = 0
    while not condition():
        await asyncio.sleep(0)
        passes += 1
        assert passes < 10 * MANY
    return passes


async def test_the_calls_of_an_address_are_spread_over_many_passes() -> None:
    shares = FairShares()
    log: Log = []
    for number in range(MANY):
        call(shares, "a", number, log)

    assert len(log) == CALLS_AT_ONCE
    assert shares.waiting("a") == MANY - CALLS_AT_ONCE
    passes = await until(lambda: len(log) == MANY)

    assert passes >= MANY // CALLS_AT_ONCE - 1
    assert log == [("a", number) for number in range(MANY)]


async def test_another_address_does_not_wait() -> None:
    shares = FairShares()
    log: Log = []
    for number in range(MANY):
        call(shares, "a", number, log)
    call(shares, "b", 0, log)

    assert log[-1] == ("b", 0)


async def test_a_later_call_does_not_overtake_one_that_waits() -> None:
    shares = FairShares()
    log: Log = []
    for number in range(2 * CALLS_AT_ONCE + 1):
        call(shares, "a", number, log)
    await asyncio.sleep(0)
    call(shares, "a", MANY, log)
    await until(lambda: ("a", MANY) in log)

    assert log[-1] == ("a", MANY)


async def test_an_address_that_has_waited_gets_its_share_again() -> None:
    shares = FairShares()
    log: Log = []
    for number in range(MANY):
        call(shares, "a", number, log)
    await until(lambda: len(log) == MANY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert shares.take("a")


async def test_a_call_that_fails_does_not_keep_the_others_waiting() -> None:
    shares = FairShares()
    log: Log = []
    failures: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(str(context["exception"])))
    for number in range(CALLS_AT_ONCE):
        call(shares, "a", number, log)

    def fail() -> None:
        raise RuntimeError("failed")

    shares.wait("a", fail)
    call(shares, "a", MANY, log)
    call(shares, "b", 0, log)
    await until(lambda: ("a", MANY) in log)

    assert failures == ["failed"]


async def test_what_waits_keeps_few_bytes_in_memory() -> None:
    shares, size = FairShares(), MAX_WAITING_BYTES // 4
    waited = [shares.wait("a", lambda: None, size) for _ in range(5)]
    of_another = shares.wait("b", lambda: None, size)
    await until(lambda: not shares.waiting("a"))

    assert waited == [True] * 4 + [False]
    assert of_another
    assert shares.wait("a", lambda: None, MAX_WAITING_BYTES)


@pytest.mark.parametrize("count", [0, CALLS_AT_ONCE])
async def test_nothing_is_scheduled_once_no_call_waits(count: int) -> None:
    shares = FairShares()
    log: Log = []
    for number in range(count):
        call(shares, "a", number, log)
    for _ in range(MANY):
        await asyncio.sleep(0)

    assert not shares._is_scheduled
