"""A Redis that freezes makes every turn look silent; none of them is taken for dead."""

import asyncio
import signal
from contextlib import suppress
from datetime import timedelta

from domain.model.identifiers import TurnId, TurnRef
from domain.model.turn import TurnPolicy
from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, REF, a_conversation, turn_of, with_question
from tests.support.clocks import ShiftedClock
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness

DEAD_AFTER = TurnPolicy().dead_after


async def test_silence_is_counted_while_redis_answers(own_server: RedisProcess) -> None:
    clock = ShiftedClock()
    async with (
        redis_harness(own_server.url) as harness,
        redis_harness(own_server.url, clock=clock) as other,
    ):
        turn = await _open_turn(harness)
        await _until(other, is_well=True)
        clock.advance(DEAD_AFTER)
        await harness.pass_time(DEAD_AFTER)

        assert await other.log.silence(TurnRef(REF, turn)) >= DEAD_AFTER


async def test_silence_while_redis_was_frozen_is_nobodys(own_server: RedisProcess) -> None:
    clock = ShiftedClock()
    async with (
        redis_harness(own_server.url) as harness,
        redis_harness(own_server.url, clock=clock) as other,
    ):
        turn = await _open_turn(harness)
        await _until(other, is_well=True)
        clock.advance(2 * DEAD_AFTER)
        await harness.pass_time(2 * DEAD_AFTER)
        own_server.signal(signal.SIGSTOP)
        await _until(other, is_well=False)
        own_server.signal(signal.SIGCONT)
        await _until(other, is_well=True)

        assert await other.log.silence(TurnRef(REF, turn)) < DEAD_AFTER


async def test_a_process_that_has_just_come_has_seen_no_silence(own_server: RedisProcess) -> None:
    async with redis_harness(own_server.url) as harness, redis_harness(own_server.url) as other:
        turn = await _open_turn(harness)
        await harness.pass_time(2 * DEAD_AFTER)

        assert await other.log.silence(TurnRef(REF, turn)) < DEAD_AFTER


async def _open_turn(harness: RedisHarness) -> TurnId:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    return turn_of(conversation).id


async def _until(harness: RedisHarness, *, is_well: bool) -> None:
    """Return once the connection knows about it."""
    async with asyncio.timeout(20):
        while (harness.client.healthy_for > timedelta()) is not is_well:
            with suppress(StoreUnavailable):
                await harness.client.call_once("test", "PING")
            await asyncio.sleep(0)
