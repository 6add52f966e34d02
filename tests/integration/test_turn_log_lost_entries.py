"""A Redis that restarted without its latest entries: no log is read with a gap."""

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

SENT_AT_ONCE = Batching(max_delay=timedelta(hours=1), max_bytes=1)
SENT_RARELY = Batching(max_delay=timedelta(hours=1), max_bytes=1_000)
END = TurnEnd(outcome=Outcome.FINISHED)


@pytest.fixture
async def writing(shared_server: RedisProcess) -> AsyncIterator[RedisHarness]:
    async with redis_harness(shared_server.url, batching=SENT_AT_ONCE) as harness:
        await harness.redis.flushdb()
        yield harness


@pytest.fixture
async def turn(writing: RedisHarness) -> Turn:
    """An open turn with four pieces, of which Redis has lost the last two."""
    conversation = with_question(a_conversation())
    await writing.store.create(OWNER, conversation)
    turn = turn_of(conversation)
    await writing.log.append(REF, turn, numbered("one", "two"))
    synced = await writing.redis.dump(log_key(ID))
    await writing.log.append(REF, turn, numbered("three", "four", first=3))
    assert synced is not None
    await writing.redis.restore(log_key(ID), 600_000, synced, replace=True)
    return turn


async def read_elsewhere(server: RedisProcess, turn: Turn) -> Batch:
    async with redis_harness(server.url) as other:
        return await other.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)


async def test_lost_pieces_are_written_again_before_the_next_piece(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    after = await writing.log.append(REF, turn, numbered("five", first=5))

    assert after is AppendResult.CONTINUE
    assert await read_elsewhere(shared_server, turn) == batch_of(
        "one", "two", "three", "four", "five"
    )


async def test_a_sign_of_life_writes_lost_pieces_again(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    assert await writing.log.append(REF, turn, []) is AppendResult.CONTINUE

    assert await read_elsewhere(shared_server, turn) == batch_of("one", "two", "three", "four")


async def test_the_end_writes_lost_pieces_again(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    await writing.log.end(REF, turn, END)

    whole = numbered("one", "two", "three", "four")
    assert await read_elsewhere(shared_server, turn) == Batch(pieces=whole, end=END)


async def test_the_log_is_gone_for_a_writer_without_the_lost_pieces(
    turn: Turn, shared_server: RedisProcess
) -> None:
    async with redis_harness(shared_server.url) as other:
        late = await other.log.append(REF, turn, numbered("five", first=5))

    assert late is AppendResult.GONE
    assert await read_elsewhere(shared_server, turn) == batch_of("one", "two")


async def test_a_reopened_log_accepts_nothing_before_its_first_piece(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    await writing.redis.delete(log_key(ID))
    await writing.log.append(REF, turn, [])
    assert await writing.store.ensure_log(TurnRef(REF, turn.id)) is True
    early = await writing.log.append(REF, turn, numbered("three", first=3))
    whole = await writing.log.append(REF, turn, numbered("one", "two", "three"))

    assert (early, whole) == (AppendResult.GONE, AppendResult.CONTINUE)
    assert await read_elsewhere(shared_server, turn) == batch_of("one", "two", "three")


async def test_a_log_that_another_process_reopened_is_reopened_for_its_writer(
    writing: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    await writing.redis.delete(log_key(ID))
    async with redis_harness(shared_server.url) as other:
        await other.store.ensure_log(TurnRef(REF, turn.id))
    await writing.store.ensure_log(TurnRef(REF, turn.id))
    await writing.log.append(REF, turn, numbered("one"))
    await writing.redis.delete(log_key(ID))

    # Followers in the writer's process read from its memory.
    assert await writing.log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("one")


async def test_a_late_writer_of_an_older_turn_changes_nothing_in_the_newer_one(
    shared_server: RedisProcess,
) -> None:
    async with redis_harness(shared_server.url, batching=SENT_RARELY) as harness:
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
