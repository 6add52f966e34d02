"""Waiting for pieces, and how long a log is kept."""

import asyncio
from datetime import timedelta

import pytest

from domain.model.identifiers import TurnRef
from domain.model.turn import Turn
from ports.conversation_store import ConversationStateStore
from ports.errors import TurnLogNotFound
from ports.turn_log import Batch, TurnLog
from tests.contract.adapters import PassTime
from tests.support.builders import AT_ONCE, BRIEFLY, END, LONG, REF, batch_of, numbered


async def test_a_reader_waits_for_the_first_entry_and_no_longer(log: TurnLog, turn: Turn) -> None:
    readers = [
        asyncio.create_task(log.read(TurnRef(REF, turn.id), after, LONG)) for after in (0, 0, 1)
    ]
    await asyncio.sleep(0)
    await log.append(REF, turn, numbered("a"))
    assert await asyncio.gather(*readers[:2]) == [batch_of("a")] * 2
    await log.end(REF, turn, END)

    assert await readers[2] == Batch(end=END)


async def test_a_reader_gets_an_empty_batch_when_its_wait_is_over(log: TurnLog, turn: Turn) -> None:
    assert await log.read(TurnRef(REF, turn.id), 0, BRIEFLY) == Batch()


async def test_a_waiting_reader_learns_that_the_log_is_gone(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    reader = asyncio.create_task(log.read(TurnRef(REF, turn.id), 0, LONG))
    await asyncio.sleep(0)
    await store.forget(REF)

    with pytest.raises(TurnLogNotFound):
        await reader


async def test_a_heartbeat_ends_the_silence(log: TurnLog, turn: Turn, pass_time: PassTime) -> None:
    await pass_time(timedelta(seconds=20))
    before = await log.silence(TurnRef(REF, turn.id))
    await log.append(REF, turn, [])
    after = await log.silence(TurnRef(REF, turn.id))

    assert timedelta(seconds=20) <= before < timedelta(seconds=25)
    assert timedelta() <= after < timedelta(seconds=5)


async def test_a_log_is_kept_for_ten_minutes_without_a_heartbeat(
    log: TurnLog, turn: Turn, pass_time: PassTime
) -> None:
    await pass_time(timedelta(minutes=9))
    await log.append(REF, turn, [])
    await pass_time(timedelta(minutes=9))
    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == Batch()
    await pass_time(timedelta(minutes=1))

    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn.id), 0, AT_ONCE)


async def test_a_log_is_kept_for_a_minute_after_its_end(
    log: TurnLog, turn: Turn, pass_time: PassTime
) -> None:
    await log.end(REF, turn, END)
    await pass_time(timedelta(seconds=55))
    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == Batch(end=END)
    await pass_time(timedelta(seconds=5))

    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn.id), 0, AT_ONCE)
