"""Conversations that Redis still has after their expiry are not found, and are deleted."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from adapters.encrypted_redis.keys_and_scripts import state_key
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import TurnRef
from tests.support.builders import ID, OWNER, REF, a_conversation, texts_of, turn_id, with_question
from tests.support.changes import adding_message, asking
from tests.support.clocks import NOON, ShiftedClock
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness, store_turns

DAY = timedelta(hours=24)
TOLERANCE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def harness(shared_server: RedisProcess, clock: ShiftedClock) -> AsyncIterator[RedisHarness]:
    async with redis_harness(shared_server.url, clock=clock) as harness:
        await harness.redis.flushdb()
        yield harness


async def put_back(harness: RedisHarness) -> None:
    """Store ten turns, then let Redis have them with a new expiry time."""
    await store_turns(harness, 10)
    await harness.put(await harness.frames())


READS: dict[str, Callable[[RedisHarness], Awaitable[Any]]] = {
    "load": lambda harness: harness.store.load(REF),
    "load the newest": lambda harness: harness.store.load(REF, last=1),
    "page": lambda harness: harness.store.page(REF, None, 5),
    "older page": lambda harness: harness.store.page(REF, 3, 5),
    "update": lambda harness: harness.store.update(REF, adding_message("late")),
    "open a turn": lambda harness: harness.store.update(REF, asking("late", 11)),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_an_expired_conversation_is_not_found_and_is_deleted(
    harness: RedisHarness, clock: ShiftedClock, read: Callable[[RedisHarness], Awaitable[Any]]
) -> None:
    await put_back(harness)
    clock.advance(DAY + TOLERANCE)
    with pytest.raises(ConversationNotFound):
        await read(harness)

    assert not await harness.redis.exists(state_key(ID))


async def test_a_conversation_is_found_until_a_minute_after_its_expiry(
    harness: RedisHarness, clock: ShiftedClock
) -> None:
    await put_back(harness)
    clock.advance(DAY + TOLERANCE - timedelta(seconds=30))

    assert len(texts_of(await harness.store.load(REF))) == 20


async def test_a_caller_that_holds_an_expired_conversation_does_not_revive_it(
    harness: RedisHarness, clock: ShiftedClock
) -> None:
    await put_back(harness)
    base = await harness.store.load(REF)
    clock.advance(DAY + TOLERANCE)
    with pytest.raises(ConversationNotFound):
        await harness.store.update(REF, asking("late", 11), base=base)

    assert not await harness.redis.exists(state_key(ID))


async def test_an_expired_conversation_opens_no_log_again(
    harness: RedisHarness, clock: ShiftedClock
) -> None:
    await harness.store.create(OWNER, with_question(a_conversation()))
    await harness.put(await harness.frames())
    clock.advance(DAY + TOLERANCE)

    assert not await harness.store.ensure_log(TurnRef(REF, turn_id()))


async def test_a_conversation_that_replaced_the_expired_one_meanwhile_is_not_deleted(
    harness: RedisHarness, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_back(harness)
    clock.advance(DAY + TOLERANCE)
    run = harness.client.run_script

    async def run_late(operation: str, *arguments: Any, **options: Any) -> Any:
        if operation == "forget":
            monkeypatch.undo()
            await harness.redis.delete(state_key(ID))
            later = NOON + DAY + TOLERANCE
            newer = with_question(a_conversation(), "newer", 11, at=later)
            await harness.store.create(OWNER, newer)
        return await run(operation, *arguments, **options)

    monkeypatch.setattr(harness.client, "run_script", run_late)

    assert texts_of(await harness.store.load(REF)) == ["newer"]
