"""Connections to the hook: when they are used again, and whose answer is whose."""

import asyncio

import pytest

from domain.model.preparation import NOTHING_PREPARED, Preparation
from ports.turn_hook import HookUnavailable
from tests.support.hook_server import Planned, a_question, a_response, an_answer, fake_hook, hook_at

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"


async def test_a_second_answer_is_never_that_of_the_next_question() -> None:
    twice = an_answer(instructions="first").raw + an_answer(instructions="planted").raw
    answers = Planned(raw=twice), an_answer(instructions="second")
    async with fake_hook(*answers) as hook, hook_at(hook.url) as adapter:
        first = await adapter.prepare(a_question())
        second = await adapter.prepare(a_question())

    assert (first.instructions, second.instructions) == ("first", "second")
    assert hook.connections == 2


async def test_what_a_hook_sends_later_is_not_the_next_answer_either() -> None:
    async with fake_hook(an_answer(instructions="first")) as hook, hook_at(hook.url) as adapter:
        first = await adapter.prepare(a_question())
        [writer] = hook.writers
        writer.write(an_answer(instructions="planted").raw)
        await writer.drain()
        # No pass of the event loop in between: the answer is in the socket, but not read yet.
        second = await adapter.prepare(a_question())

    assert (first.instructions, second) == ("first", NOTHING_PREPARED)
    assert hook.connections == 2


async def test_a_connection_that_the_hook_closed_while_idle_is_no_failure() -> None:
    async with fake_hook(an_answer()) as hook, hook_at(hook.url) as adapter:
        await adapter.prepare(a_question())
        hook.writers[0].transport.abort()

        assert await adapter.prepare(a_question()) == NOTHING_PREPARED
    assert hook.connections == 2


async def test_a_connection_that_closes_when_the_next_request_arrives_is_no_failure() -> None:
    answers = an_answer(), Planned(closes=True), an_answer(instructions="Hi")
    async with fake_hook(*answers) as hook, hook_at(hook.url) as adapter:
        await adapter.prepare(a_question())
        preparation = await adapter.prepare(a_question())

    assert preparation.instructions == "Hi"
    assert (hook.connections, len(hook.requests)) == (2, 3)


async def test_a_question_that_brings_the_hook_down_is_sent_twice_at_most() -> None:
    async with fake_hook() as hook, hook_at(hook.url) as adapter:
        await asyncio.gather(*(adapter.prepare(a_question()) for _ in range(8)))
        hook.planned = [Planned(closes=True)] * 8
        with pytest.raises(HookUnavailable):
            await adapter.prepare(a_question())

    assert len(hook.requests) == 8 + 2


@pytest.mark.parametrize(
    "answer",
    [
        a_response(200, b"{}", connection="close"),
        Planned(raw=JSON_HEAD + b"\r\n{}", closes=True),
        Planned(
            raw=JSON_HEAD.replace(b"1.1", b"1.0") + b"content-length: 2\r\n\r\n{}", closes=True
        ),
    ],
    ids=["close", "until-the-end", "http-1.0"],
)
async def test_a_hook_may_close_its_connection_after_each_answer(answer: Planned) -> None:
    async with fake_hook(answer) as hook, hook_at(hook.url) as adapter:
        first = await adapter.prepare(a_question())
        await adapter.prepare(a_question())

    assert first == Preparation()
    assert hook.connections == 2


async def test_hints_may_precede_the_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    answer = Planned(raw=hints + an_answer(instructions="Hi").raw)
    async with fake_hook(answer) as hook, hook_at(hook.url) as adapter:
        preparation = await adapter.prepare(a_question())

    assert preparation.instructions == "Hi"


async def test_an_answer_may_arrive_byte_by_byte() -> None:
    async with fake_hook(Planned(hangs=True)) as hook, hook_at(hook.url) as adapter:
        asking = asyncio.create_task(adapter.prepare(a_question()))
        await hook.until(requests=1)
        for byte in CHUNKED + b'14\r\n{"instructions":"Hi"\r\n1\r\n}\r\n0\r\n\r\n':
            hook.writers[0].write(bytes([byte]))
            await hook.writers[0].drain()

        assert (await asking).instructions == "Hi"


async def test_a_stopped_turn_closes_the_connection_at_once() -> None:
    async with fake_hook(Planned(hangs=True)) as hook, hook_at(hook.url) as adapter:
        asking = asyncio.create_task(adapter.prepare(a_question()))
        await hook.until(requests=1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await hook.until(open_connections=0)


async def test_idle_connections_are_closed_with_the_service() -> None:
    async with fake_hook(an_answer()) as hook:
        async with hook_at(hook.url) as adapter:
            await adapter.prepare(a_question())
        await hook.until(open_connections=0)


async def test_questions_at_the_same_time_have_connections_of_their_own() -> None:
    async with fake_hook() as hook, hook_at(hook.url) as adapter:
        await asyncio.gather(*(adapter.prepare(a_question()) for _ in range(100)))
        await asyncio.gather(*(adapter.prepare(a_question()) for _ in range(3)))

    assert len(hook.requests) == 103
    assert hook.connections == 100
