"""When pieces are sent to Redis, and that followers in the same process do not wait for that."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.encrypted_redis.keys_and_scripts import log_key
from adapters.encrypted_redis.log_stream import EntrySealer
from adapters.encrypted_redis.turn_log import Batching
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from domain.model.identifiers import TurnRef
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, Turn, TurnEnd
from ports.turn_log import AppendResult
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
from tests.support.clocks import ManualClock
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RING, RedisHarness, count_scripts, redis_harness

HEAD = 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def batching(shared_server: RedisProcess, clock: ManualClock) -> AsyncIterator[RedisHarness]:
    async with redis_harness(shared_server.url, clock=clock, batching=Batching()) as harness:
        await harness.redis.flushdb()
        yield harness


@pytest.fixture
async def turn(batching: RedisHarness) -> Turn:
    """An open turn whose first piece was sent."""
    conversation = with_question(a_conversation())
    await batching.store.create(OWNER, conversation)
    await batching.log.append(REF, turn_of(conversation), numbered("first"))
    return turn_of(conversation)


async def entries(harness: RedisHarness) -> int:
    """How many entries Redis has, besides the head."""
    return int(await harness.redis.xlen(log_key(ID))) - HEAD


async def test_the_first_piece_is_sent_at_once(batching: RedisHarness, turn: Turn) -> None:
    assert turn.is_open
    assert await entries(batching) == 1


async def test_pieces_within_100_ms_and_256_bytes_are_sent_together(
    batching: RedisHarness, turn: Turn, clock: ManualClock
) -> None:
    for number in range(2, 12):
        await batching.log.append(REF, turn, numbered("x" * 20, first=number))
    waiting = await entries(batching)
    clock.advance(timedelta(milliseconds=100))
    await _until_two_entries(batching)

    assert waiting == 1
    assert await entries(batching) == 2


async def test_256_bytes_are_sent_at_once(batching: RedisHarness, turn: Turn) -> None:
    await batching.log.append(REF, turn, numbered("x" * 255, first=2))
    below = await entries(batching)
    await batching.log.append(REF, turn, numbered("x", first=3))

    assert (below, await entries(batching)) == (1, 2)


async def test_a_batch_that_is_sent_early_leaves_nothing_scheduled(
    batching: RedisHarness, turn: Turn, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await batching.log.append(REF, turn, numbered("scheduled", first=2))
    sent = count_scripts(batching, monkeypatch)
    await batching.log.append(REF, turn, numbered("x" * 256, first=3))
    clock.advance(timedelta(seconds=1))
    for _ in range(10):
        await asyncio.sleep(0)

    assert sent == ["log"]
    assert await entries(batching) == 2


async def test_a_follower_in_this_process_gets_a_piece_before_redis(
    batching: RedisHarness, turn: Turn
) -> None:
    second = numbered("second", first=2)
    read = asyncio.create_task(batching.log.read(TurnRef(REF, turn.id), 1, timedelta(seconds=20)))
    await asyncio.sleep(0)
    await batching.log.append(REF, turn, second)

    assert await read == batch_of("second", first=2)
    assert await entries(batching) == 1


async def test_a_process_that_dies_loses_no_more_than_its_last_batch(
    batching: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    await batching.log.append(REF, turn, numbered("unsent", first=2))
    async with redis_harness(shared_server.url) as other:
        found = await other.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)

    assert found == batch_of("first")


async def test_the_end_is_sent_with_the_pieces_that_were_not_sent(
    batching: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    end = TurnEnd(outcome=Outcome.FINISHED)
    await batching.log.append(REF, turn, numbered("unsent", first=2))
    await batching.log.end(REF, turn, end)
    async with redis_harness(shared_server.url) as other:
        found = await other.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)

    assert found == batch_of("first", "unsent", end=end)


async def test_the_size_of_an_entry_does_not_reveal_the_size_of_a_piece(
    batching: RedisHarness, turn: Turn
) -> None:
    sizes = set()
    for number, text in enumerate(["a", "no", "yes", "maybe", "certainly not"], 2):
        piece = NumberedPiece(number, TextPiece(text))
        await batching.log.append(REF, turn, [piece])
        # A heartbeat sends the pieces that wait.
        assert await batching.log.append(REF, turn, []) is AppendResult.CONTINUE
        newest = (await batching.redis.xrevrange(log_key(ID), count=1) or [])[0]
        sizes.add(len((newest[1] or {})[b"d"]))

    assert len(sizes) == 1


async def test_a_piece_that_was_sent_twice_is_read_once(
    batching: RedisHarness, turn: Turn, shared_server: RedisProcess
) -> None:
    again = EntrySealer(_sealer(), TurnRef(REF, turn.id)).entry(2, numbered("first", "second"))
    await batching.redis.xadd(log_key(ID), {"d": again}, id=f"{turn.number}-2")
    async with redis_harness(shared_server.url) as other:
        whole = await other.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)
        rest = await other.log.read(TurnRef(REF, turn.id), 1, AT_ONCE)

    assert whole == batch_of("first", "second")
    assert rest == batch_of("second", first=2)


def _sealer() -> Sealer:
    return Sealer(ring=KeyRing.parse(RING), random_bytes=os.urandom)


async def _until_two_entries(harness: RedisHarness) -> None:
    """Return once Redis has another entry."""
    async with asyncio.timeout(20):
        while await entries(harness) == 1:
            pass
