"""A frozen Redis makes every turn look silent; none of them counts as dead."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from adapters.in_memory.process_lease import InMemoryProcessLease
from adapters.system.turn_runner import TaskTurnRunner
from domain.model.identifiers import TurnId, TurnRef
from domain.model.turn import TurnPolicy
from entrypoints.usecases.dead_turns import MissingLogs, TurnWatch
from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, PROCESS, REF, a_conversation, turn_of, with_question
from tests.support.clocks import ShiftedClock
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness

DEAD_AFTER = TurnPolicy().dead_after


async def test_silence_counts_while_redis_answers(own_server: RedisProcess) -> None:
    clock = ShiftedClock()
    async with (
        redis_harness(own_server.url) as harness,
        redis_harness(own_server.url, clock=clock) as other,
    ):
        turn = await _open_turn(harness)
        await _until_healthy(other)
        clock.advance(DEAD_AFTER)
        await harness.pass_time(DEAD_AFTER)

        assert await other.log.silence(TurnRef(REF, turn)) >= DEAD_AFTER


async def test_silence_while_redis_was_frozen_does_not_count(own_server: RedisProcess) -> None:
    clock = ShiftedClock()
    async with (
        redis_harness(own_server.url) as harness,
        redis_harness(own_server.url, clock=clock) as other,
    ):
        turn = await _open_turn(harness)
        await _until_healthy(other)
        clock.advance(2 * DEAD_AFTER)
        await harness.pass_time(2 * DEAD_AFTER)
        own_server.signal(signal.SIGSTOP)
        await _until_unhealthy(other)
        own_server.signal(signal.SIGCONT)
        await _until_healthy(other)

        assert await other.log.silence(TurnRef(REF, turn)) < DEAD_AFTER


async def test_silence_before_this_process_connected_does_not_count(
    own_server: RedisProcess,
) -> None:
    async with redis_harness(own_server.url) as harness, redis_harness(own_server.url) as other:
        turn = await _open_turn(harness)
        await harness.pass_time(2 * DEAD_AFTER)

        assert await other.log.silence(TurnRef(REF, turn)) < DEAD_AFTER


class ClockOfASleeper(ShiftedClock):
    """Runs a function instead of sleeping."""

    def __init__(self, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def sleep(self, duration: timedelta) -> None:
        self.advance(duration)
        await self._meanwhile()


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_step_of_the_servers_clock_makes_no_written_turn_dead(
    own_server: RedisProcess, *, is_written: bool
) -> None:
    clock = ShiftedClock()
    async with (
        redis_harness(own_server.url) as harness,
        redis_harness(own_server.url, clock=clock) as other,
    ):
        conversation = with_question(a_conversation())
        await harness.store.create(OWNER, conversation)
        turn = turn_of(conversation)
        await _until_healthy(other)
        clock.advance(DEAD_AFTER)
        await harness.pass_time(DEAD_AFTER)  # As if the server's clock was set forward.

        async def meanwhile() -> None:
            if is_written:
                await harness.log.append(REF, turn, ())

        watch = TurnWatch(
            store=other.store,
            log=other.log,
            lease=InMemoryProcessLease(PROCESS),
            runner=TaskTurnRunner(max_turns=1, telemetry=other.telemetry),
            clock=ClockOfASleeper(meanwhile),
            policy=TurnPolicy(),
            missing=MissingLogs(),
        )

        assert await watch.is_dead(TurnRef(REF, turn.id)) is not is_written


async def _open_turn(harness: RedisHarness) -> TurnId:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    return turn_of(conversation).id


async def _until_healthy(harness: RedisHarness) -> None:
    await _until(lambda: harness.client.healthy_for > timedelta(), harness)


async def _until_unhealthy(harness: RedisHarness) -> None:
    await _until(lambda: harness.client.healthy_for == timedelta(), harness)


async def _until(holds: Callable[[], bool], harness: RedisHarness) -> None:
    """Return once the connection has noticed."""
    async with asyncio.timeout(20):
        while not holds():
            with suppress(StoreUnavailable):
                await harness.client.call_once("test", "PING")
            await asyncio.sleep(0)
