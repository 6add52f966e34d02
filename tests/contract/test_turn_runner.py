"""What every turn runner promises: see ``ports.turn_runner``."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from attrs import define, field

from domain.model.conversation import Conversation
from ports.errors import StoreUnavailable, TooManyTurns
from ports.turn_runner import Signals, TurnRunner
from tests.contract.conftest import Runners
from tests.support.builders import a_conversation, after_turns, turn_id, with_question

OPENED = with_question(a_conversation())
LONG = timedelta(hours=1)


@define
class Reply:
    """A reply that ends when the test says so."""

    began: asyncio.Event = field(factory=asyncio.Event)
    may_end: asyncio.Event = field(factory=asyncio.Event)
    has_ended: asyncio.Event = field(factory=asyncio.Event)
    conversations: list[Conversation] = field(factory=list)

    async def __call__(self, conversation: Conversation, _: Signals) -> None:
        self.conversations.append(conversation)
        self.began.set()
        await self.may_end.wait()
        self.has_ended.set()


async def opening() -> Conversation:
    return OPENED


async def nothing(_: StoreUnavailable) -> None:
    """There is nothing to abandon."""


async def test_the_caller_gets_what_was_opened_and_the_reply_runs_on(runner: TurnRunner) -> None:
    reply = Reply()

    assert await runner.run(turn_id(), opening, reply, nothing) == OPENED
    await reply.began.wait()
    reply.may_end.set()
    await reply.has_ended.wait()
    assert reply.conversations == [OPENED]


async def test_a_turn_runs_until_its_reply_has_ended(runner: TurnRunner) -> None:
    reply = Reply()
    before = runner.is_running(turn_id())
    await runner.run(turn_id(), opening, reply, nothing)
    during = runner.is_running(turn_id()), runner.is_running(turn_id(2))
    reply.may_end.set()
    await reply.has_ended.wait()
    while runner.is_running(turn_id()):  # noqa: ASYNC110 - the task ends in a moment
        await asyncio.sleep(0)

    assert (before, during) == (False, (True, False))


async def test_a_caller_that_leaves_stops_neither_opening_nor_reply(runner: TurnRunner) -> None:
    reply, is_opening, may_open = Reply(), asyncio.Event(), asyncio.Event()

    async def slowly() -> Conversation:
        is_opening.set()
        await may_open.wait()
        return OPENED

    caller = asyncio.create_task(runner.run(turn_id(), slowly, reply, nothing))
    await is_opening.wait()
    caller.cancel()
    await asyncio.wait([caller])
    may_open.set()
    await reply.began.wait()
    reply.may_end.set()
    await reply.has_ended.wait()

    assert caller.cancelled()


async def test_an_error_while_opening_reaches_the_caller(runner: TurnRunner) -> None:
    async def failing() -> Conversation:
        raise LookupError

    reply = Reply()
    with pytest.raises(LookupError):
        await runner.run(turn_id(), failing, reply, nothing)

    assert reply.conversations == []


@pytest.mark.parametrize("joined", [with_question(a_conversation(), number=9), after_turns(1)])
async def test_a_joined_turn_is_not_run_again(runner: TurnRunner, joined: Conversation) -> None:
    async def joining() -> Conversation:
        return joined

    reply = Reply()
    assert await runner.run(turn_id(1), joining, reply, nothing) == joined
    await asyncio.sleep(0)

    assert reply.conversations == []


async def test_more_turns_than_the_bound_are_refused_before_they_are_opened(
    runners: Runners,
) -> None:
    runner, reply, opened = runners(1), Reply(), []

    async def counted() -> Conversation:
        opened.append(1)
        return OPENED

    await runner.run(turn_id(), counted, reply, nothing)
    with pytest.raises(TooManyTurns):
        await runner.run(turn_id(2), counted, reply, nothing)
    reply.may_end.set()
    await reply.has_ended.wait()
    await asyncio.sleep(0)
    await runner.run(turn_id(), counted, Reply(may_end=reply.may_end), nothing)

    assert len(opened) == 2


async def test_waking_wakes_the_named_turn_only(runner: TurnRunner) -> None:
    waits, woke = asyncio.Event(), asyncio.Event()

    async def waiting(_: Conversation, signals: Signals) -> None:
        waits.set()
        await signals.wait(LONG)
        woke.set()

    await runner.run(turn_id(), opening, waiting, nothing)
    await waits.wait()
    runner.wake(turn_id(2))
    await asyncio.sleep(0)
    assert not woke.is_set()
    runner.wake(turn_id())

    async with asyncio.timeout(10):
        await woke.wait()


async def test_waking_a_turn_before_it_waits_is_not_lost(runner: TurnRunner) -> None:
    may_wait, woke = asyncio.Event(), asyncio.Event()

    async def late(_: Conversation, signals: Signals) -> None:
        await may_wait.wait()
        await signals.wait(LONG)
        woke.set()

    await runner.run(turn_id(), opening, late, nothing)
    runner.wake(turn_id())
    may_wait.set()

    async with asyncio.timeout(10):
        await woke.wait()


async def test_a_wait_ends_by_itself_without_a_shutdown(runner: TurnRunner) -> None:
    shutting_down: list[bool] = []
    done = asyncio.Event()

    async def briefly(_: Conversation, signals: Signals) -> None:
        await signals.wait(timedelta(milliseconds=1))
        shutting_down.append(signals.shutting_down)
        done.set()

    await runner.run(turn_id(), opening, briefly, nothing)
    await done.wait()

    assert shutting_down == [False]


async def test_work_in_the_background_runs_beside_the_turns(runner: TurnRunner) -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    runner.run_in_background(work)
    async with asyncio.timeout(10):
        await done.wait()


async def test_work_in_the_background_waits_while_much_of_it_runs(runner: TurnRunner) -> None:
    running: list[int] = []
    may_end, all_done = asyncio.Event(), asyncio.Event()
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        running.append(number)
        most = max(most, len(running))
        await may_end.wait()
        running.remove(number)
        if number == 39:
            all_done.set()

    for number in range(40):
        runner.run_in_background(partial(work, number))
    for _ in range(100):
        await asyncio.sleep(0)
    may_end.set()
    async with asyncio.timeout(10):
        await all_done.wait()

    assert 1 < most < 40
