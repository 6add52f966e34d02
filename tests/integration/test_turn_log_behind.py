"""A Redis that came back without what it had last: nothing is read with a hole in it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.encrypted_redis.keys_and_scripts import log_key
from adapters.encrypted_redis.turn_log import Batching
from domain.model.identifiers import TurnRef
from domain.model.turn import Outcome, Turn, TurnEnd
from ports.turn_log import AppendResult, Batch
from tests.support.builders import (
    AT_ONCE,
    ID,
    OWNER,
    REF,
    a_conversation,
    batch_of,
    numbered,
    turn_of,
    with_question,
)
from tests.support.changes import asking, interrupting
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness

AT_ONCE_SENT = Batching(within=timedelta(hours=1), characters=1)
SELDOM_SENT = Batching(within=timedelta(hours=1), characters=1_000)
END = TurnEnd(outcome=Outcome.FINISHED)


@pytest.fixture
async def writing(shared_server: RedisProcess) -> AsyncIterator[RedisHarness]:
    async with redis_harness(shared_server.url, batching=AT_ONCE_SENT) as harness:
        await harness.redis.flushdb()
        yield harness


@pytest.fixture
async def turn(writing: RedisHarness) -> Turn:
    """An open turn with four pieces, of which Redis has lost the last two."""
    conversation = with_question(a_conversation())
    await writing.store.create(OWNER, conversation)
    turn = turn_of(conversation)
    await writing.log.append(REF, turn, numbered("one", "two"))
    fsynced = await writing.redis.dump(log_key(ID))
    await writing.log.append(REF, turn, numbered("three", "four", first=3))
    assert fsynced is not None
    await writing.redis.restore(log_key(ID), 600_000, fsynced, replace=True)
    return turn


async def read_elsewhere(server: RedisProcess, turn: Turn) -> Batch:
    async with redis_harness(server.url) as other:
        return await other.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)


async def test_what_was_lost_is_written_again_before_the_next_piece(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    after = await writing.log.append(REF, turn, numbered("five", first=5))

    assert after is AppendResult.CONTINUE
    assert await read_elsewhere(shared_server, turn) == batch_of(
        "one", "two", "three", "four", "five"
    )


async def test_a_sign_of_life_brings_back_what_was_lost(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    assert await writing.log.append(REF, turn, []) is AppendResult.CONTINUE

    assert await read_elsewhere(shared_server, turn) == batch_of("one", "two", "three", "four")


async def test_the_end_brings_back_what_was_lost(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    await writing.log.end(REF, turn, END)

    whole = numbered("one", "two", "three", "four")
    assert await read_elsewhere(shared_server, turn) == Batch(pieces=whole, end=END)


async def test_a_writer_that_holds_only_the_rest_is_told_that_the_log_is_gone(
    turn: Turn, shared_server: RedisProcess
) -> None:
    async with redis_harness(shared_server.url) as other:
        late = await other.log.append(REF, turn, numbered("five", first=5))

    assert late is AppendResult.GONE
    assert await read_elsewhere(shared_server, turn) == batch_of("one", "two")


async def test_what_comes_before_the_beginning_of_a_log_opened_again_waits_for_it(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    await writing.redis.delete(log_key(ID))
    await writing.log.append(REF, turn, [])
    assert await writing.store.ensure_log(TurnRef(REF, turn.id)) is True
    early = await writing.log.append(REF, turn, numbered("three", first=3))
    whole = await writing.log.append(REF, turn, numbered("one", "two", "three"))

    assert (early, whole) == (AppendResult.GONE, AppendResult.CONTINUE)
    assert await read_elsewhere(shared_server, turn) == batch_of("one", "two", "three")


async def test_a_log_whose_opening_was_not_heard_of_is_opened_for_its_writer(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    await writing.redis.delete(log_key(ID))
    async with redis_harness(shared_server.url) as unheard:
        await unheard.store.ensure_log(TurnRef(REF, turn.id))
    await writing.store.ensure_log(TurnRef(REF, turn.id))
    await writing.log.append(REF, turn, numbered("one"))
    await writing.redis.delete(log_key(ID))

    # Who follows in the writer's process reads what the writer holds.
    assert await writing.log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("one")


async def test_a_late_writer_takes_nothing_from_the_turn_that_took_its_place(
    shared_server: RedisProcess,
) -> None:
    async with redis_harness(shared_server.url, batching=SELDOM_SENT) as harness:
        await harness.redis.flushdb()
        await harness.store.create(OWNER, with_question(a_conversation()))
        older = turn_of(await harness.store.update(REF, interrupting()))
        newer = turn_of(await harness.store.update(REF, asking("And?", 2)))
        await harness.log.append(REF, newer, numbered("a"))
        await harness.log.append(REF, newer, numbered("waits", first=2))
        late = await harness.log.append(REF, older, numbered("late"))
        await harness.log.append(REF, newer, numbered("c", first=3))
        here = await harness.log.read(TurnRef(REF, newer.id), 0, AT_ONCE)
        await harness.log.end(REF, newer, END)

    assert late is AppendResult.SUPERSEDED
    assert here == batch_of("a", "waits", "c")
    assert await read_elsewhere(shared_server, newer) == batch_of("a", "waits", "c", end=END)
