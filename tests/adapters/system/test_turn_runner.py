"""Turns run apart from their callers, and a process that shuts down lets them finish."""

import asyncio
from datetime import timedelta

import pytest

from domain.model.conversation import Conversation
from ports.errors import ShuttingDown, StoreUnavailable, TooManyTurns
from ports.turn_runner import Signals
from tests.support.builders import a_conversation, turn_id, with_question
from tests.support.fakes import RecordingTelemetry
from tests.support.turn_runner import (
    LONG,
    Turn,
    a_runner,
    a_running_turn,
    abandon_nothing,
    run_event_loop,
)

AT_ONCE = timedelta()


async def test_the_caller_gets_the_opened_conversation_while_the_reply_runs_on() -> None:
    runner, turn = a_runner(), Turn()
    turn.may_open.set()

    opened = await runner.run(turn_id(), turn.opening, turn.replying, abandon_nothing)

    await turn.signals
    assert opened == with_question(a_conversation())
    assert turn.state == "running"
    turn.may_end.set()
    await runner.drain(LONG)
    assert turn.state == "finished"


async def test_a_caller_that_leaves_cancels_neither_part() -> None:
    runner, turn = a_runner(), Turn()
    caller = asyncio.create_task(
        runner.run(turn_id(), turn.opening, turn.replying, abandon_nothing)
    )
    await asyncio.sleep(0)

    caller.cancel()
    await asyncio.wait([caller])
    turn.may_open.set()
    turn.may_end.set()
    await runner.drain(LONG)

    assert caller.cancelled()
    assert turn.state == "finished"


async def test_a_turn_that_could_not_be_opened_is_the_callers_error_and_frees_its_place() -> None:
    runner, turn = a_runner(max_turns=1), Turn()

    async def failing() -> Conversation:
        raise StoreUnavailable("update")

    with pytest.raises(StoreUnavailable):
        await runner.run(turn_id(), failing, turn.replying, abandon_nothing)
    await asyncio.sleep(0)
    turn, _ = await a_running_turn(runner)

    assert turn.state == "running"
    turn.may_end.set()
    await runner.drain(LONG)


async def test_a_failure_whose_caller_has_left_is_not_reported() -> None:
    runner, turn = a_runner(), Turn()

    async def failing() -> Conversation:
        await turn.may_open.wait()
        raise StoreUnavailable("update")

    caller = asyncio.create_task(runner.run(turn_id(), failing, turn.replying, abandon_nothing))
    await asyncio.sleep(0)
    caller.cancel()
    turn.may_open.set()
    await runner.drain(LONG)

    assert turn.state == "not started"


async def test_joining_a_turn_does_not_run_it_again() -> None:
    runner, turn = a_runner(), Turn()
    turn.may_open.set()

    opened = await runner.run(turn_id(2), turn.opening, turn.replying, abandon_nothing)
    await runner.drain(LONG)

    assert opened.open_turn is not None
    assert turn.state == "not started"


async def test_no_more_turns_than_the_bound_run_at_once() -> None:
    runner = a_runner(max_turns=1)
    turn, _ = await a_running_turn(runner)

    with pytest.raises(TooManyTurns):
        await runner.run(turn_id(2), Turn().opening, turn.replying, abandon_nothing)

    turn.may_end.set()
    await run_event_loop()
    second, _ = await a_running_turn(runner)
    second.may_end.set()
    await runner.drain(LONG)


async def test_a_reply_that_crashes_is_noted_by_its_kind_only() -> None:
    telemetry = RecordingTelemetry()
    runner, turn = a_runner(telemetry=telemetry), Turn()
    turn.may_open.set()

    async def crashing(_: Conversation, __: Signals) -> None:
        raise RuntimeError("planted words")

    await runner.run(turn_id(), turn.opening, crashing, abandon_nothing)
    await runner.drain(LONG)

    assert telemetry.emitted[0] == ("turn.crashed", {"kind": "RuntimeError"})


async def test_a_caller_waiting_for_an_opening_that_draining_cancels_gets_an_error() -> None:
    runner, turn = a_runner(), Turn()
    caller = asyncio.create_task(
        runner.run(turn_id(), turn.opening, turn.replying, abandon_nothing)
    )
    await asyncio.sleep(0)

    await runner.drain(AT_ONCE, AT_ONCE)

    with pytest.raises(ShuttingDown):
        await caller


async def test_work_in_the_background_is_dropped_at_once_when_the_process_drains() -> None:
    runner, begun = a_runner(), 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    runner.run_in_background(work)
    await run_event_loop()
    runner.refuse_new_turns()
    await run_event_loop()
    runner.run_in_background(work)
    await run_event_loop()

    assert begun == 1
    assert not runner.background


async def test_draining_does_not_wait_for_work_in_the_background_nor_count_it() -> None:
    telemetry = RecordingTelemetry()
    runner = a_runner(telemetry=telemetry)
    runner.run_in_background(asyncio.Event().wait)
    await run_event_loop()
    await runner.drain(LONG)

    assert telemetry.fields_of("service.draining") == [
        {"turns": 0, "seconds": LONG.total_seconds()}
    ]


async def test_draining_lets_dropped_work_clean_up() -> None:
    runner, cleaned_up = a_runner(), False

    async def work() -> None:
        nonlocal cleaned_up
        try:
            await asyncio.Event().wait()
        finally:
            await run_event_loop()
            cleaned_up = True

    runner.run_in_background(work)
    await run_event_loop()
    await runner.drain(LONG)

    assert cleaned_up


async def test_work_in_the_background_that_crashes_is_noted_by_its_kind_only() -> None:
    telemetry = RecordingTelemetry()
    runner = a_runner(telemetry=telemetry)

    async def crash() -> None:
        raise RuntimeError("planted words")

    runner.run_in_background(crash)
    await run_event_loop()

    assert telemetry.emitted == [("background.crashed", {"kind": "RuntimeError"})]
