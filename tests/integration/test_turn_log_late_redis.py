"""A Redis that answers late: nobody waits for it, and it is not buried under what it is told."""

import asyncio
import signal
from datetime import timedelta
from typing import Any

import pytest

from adapters.encrypted_redis.command_queue import Bounds
from adapters.encrypted_redis.turn_log import Batching
from domain.model.errors import TurnInProgress
from domain.model.identifiers import TurnRef
from ports.turn_log import AppendResult
from tests.support.builders import (
    AT_ONCE,
    OWNER,
    REF,
    a_conversation,
    batch_of,
    numbered,
    turn_of,
    with_question,
)
from tests.support.changes import asking
from tests.support.clocks import ManualClock
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness


async def test_a_redis_that_takes_long_holds_up_no_writer(own_server: RedisProcess) -> None:
    async with redis_harness(own_server.url, batching=Batching()) as harness:
        conversation = with_question(a_conversation())
        await harness.store.create(OWNER, conversation)
        turn = turn_of(conversation)
        own_server.signal(signal.SIGSTOP)
        first = await harness.log.append(REF, turn, numbered("first"))
        second = await harness.log.append(REF, turn, numbered("second", first=2))
        heard = await harness.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)
        own_server.signal(signal.SIGCONT)

    assert (first, second) == (AppendResult.CONTINUE, AppendResult.CONTINUE)
    assert heard == batch_of("first", "second")


async def test_a_redis_that_takes_long_is_told_each_thing_once(
    own_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    async with redis_harness(own_server.url, clock=clock, batching=Batching()) as harness:
        conversation = with_question(a_conversation())
        await harness.store.create(OWNER, conversation)
        sent = _counted(harness, monkeypatch)
        own_server.signal(signal.SIGSTOP)
        for number in range(1, 21):
            piece = numbered("x" * 300, first=number)
            await harness.log.append(REF, turn_of(conversation), piece)
            clock.advance(timedelta(milliseconds=200))
            await asyncio.sleep(0)
        count = len(sent)
        own_server.signal(signal.SIGCONT)

    assert count == 1


async def test_what_is_logged_leaves_room_for_what_is_stored(
    own_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, clock = Bounds(commands=20), ManualClock()
    async with redis_harness(
        own_server.url, bounds=few, clock=clock, batching=Batching()
    ) as harness:
        conversation = with_question(a_conversation())
        await harness.store.create(OWNER, conversation)
        own_server.signal(signal.SIGSTOP)
        waiting = [asyncio.create_task(harness.client.call_once("ask", "PING")) for _ in range(10)]
        await asyncio.sleep(0)
        sent = _counted(harness, monkeypatch)
        await harness.log.append(REF, turn_of(conversation), numbered("first"))
        await harness.log.append(REF, turn_of(conversation), [])
        storing_it = asyncio.create_task(harness.store.update(REF, asking("And?", 2)))
        for _ in range(10):
            clock.advance(timedelta(milliseconds=200))
            await asyncio.sleep(0)
        meanwhile = [*sent]
        own_server.signal(signal.SIGCONT)
        with pytest.raises(TurnInProgress):
            await storing_it
        await asyncio.gather(*waiting)
        async with asyncio.timeout(20), redis_harness(own_server.url) as other:
            turn_ref = TurnRef(REF, turn_of(conversation).id)
            while (await other.log.read(turn_ref, 0, AT_ONCE)).is_empty:
                clock.advance(timedelta(milliseconds=200))

    assert meanwhile == []


def _counted(harness: RedisHarness, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent for the log from now on, a line each."""
    sent: list[str] = []
    run = harness.client.run_script

    async def counting(doing: str, *arguments: Any, **options: Any) -> Any:
        sent.append(doing)
        return await run(doing, *arguments, **options)

    monkeypatch.setattr(harness.client, "run_script", counting)
    return sent
