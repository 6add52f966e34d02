"""A process that shuts down lets its turns finish, and signals them to end."""

import asyncio

import pytest

from ports.errors import ShuttingDown
from tests.support.builders import turn_id
from tests.support.fakes import RecordingTelemetry
from tests.support.turn_runner import (
    AT_ONCE,
    LONG,
    Turn,
    a_runner,
    a_running_turn,
    abandon_nothing,
    run_event_loop,
)


async def test_a_process_that_ends_takes_no_new_turns() -> None:
    runner = a_runner()

    runner.refuse_new_turns()

    assert not runner.accepts_new_turns()
    with pytest.raises(ShuttingDown):
        await runner.run(turn_id(), Turn().opening, Turn().replying, abandon_nothing)


async def test_a_process_that_ends_lets_its_turns_finish() -> None:
    runner = a_runner()
    turn, signals = await a_running_turn(runner)
    draining = asyncio.create_task(runner.drain(LONG))
    await run_event_loop()
    assert not draining.done()

    turn.may_end.set()
    await draining

    assert turn.state == "finished"
    assert not signals.shutting_down


async def test_a_turn_that_is_not_done_in_time_is_asked_to_end() -> None:
    runner = a_runner()
    turn, signals = await a_running_turn(runner)
    draining = asyncio.create_task(runner.drain(AT_ONCE, interrupt_grace=LONG))

    await signals.wait(LONG)
    shutting_down = signals.shutting_down
    turn.may_end.set()
    await draining

    assert shutting_down
    assert turn.state == "finished"


async def test_a_turn_that_does_not_end_is_cancelled() -> None:
    runner = a_runner()
    turn, _ = await a_running_turn(runner)

    await runner.drain(AT_ONCE, interrupt_grace=AT_ONCE)
    await run_event_loop()

    assert turn.state == "cancelled"


async def test_waking_ends_a_wait_and_is_not_lost_without_one() -> None:
    runner = a_runner()
    turn, signals = await a_running_turn(runner)
    waiting = asyncio.create_task(signals.wait(LONG))
    await run_event_loop()
    assert not waiting.done()

    runner.wake(turn_id())
    await waiting
    runner.wake(turn_id())
    await signals.wait(LONG)
    used_up = asyncio.create_task(signals.wait(LONG))
    await run_event_loop()

    assert not used_up.done()
    runner.wake(turn_id(99))
    signals.wake()
    await used_up
    turn.may_end.set()
    await runner.drain(LONG)


async def test_a_wait_ends_by_itself() -> None:
    runner = a_runner()
    turn, signals = await a_running_turn(runner)

    await signals.wait(AT_ONCE)

    assert not signals.shutting_down
    turn.may_end.set()
    await runner.drain(LONG)


async def test_what_is_left_when_the_time_is_up_is_logged() -> None:
    telemetry = RecordingTelemetry()
    runner = a_runner(telemetry=telemetry)
    await a_running_turn(runner)

    await runner.drain(AT_ONCE, interrupt_grace=AT_ONCE)

    assert telemetry.emitted == [
        ("service.draining", {"turns": 1, "seconds": 0.0}),
        ("turns.left-open", {"turns": 1}),
    ]


async def test_a_process_without_turns_has_nothing_left_to_log() -> None:
    telemetry = RecordingTelemetry()

    await a_runner(telemetry=telemetry).drain(LONG)

    assert telemetry.emitted == [
        ("service.draining", {"turns": 0, "seconds": LONG.total_seconds()})
    ]
