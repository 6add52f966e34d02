"""Responses while they are being written: one at a time, stopped, left, followed, failing."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.event_stream import kinds
from tests.support.fake_model import Puppet
from tests.support.native_client import eventually
from tests.support.service import Served
from tests.support.v1_client import Program, error_of, response_id

DELTA = "response.output_text.delta"


@pytest.fixture
async def program(service: Served) -> Program:
    return await Program.new(service.url)


async def test_a_second_question_is_refused_while_the_first_is_answered(
    program: Program, puppet: Puppet
) -> None:
    conversation = await program.conversation()
    async with program.asking("One", conversation=conversation) as live:
        speaking = await puppet.asked()
        second = await program.ask("Two", conversation=conversation)
        items = {"items": [{"role": "user", "content": "Two"}]}
        added = await program.post(f"/v1/conversations/{conversation}/items", items)
        speaking.finish()
        await live.whole()

    for refused in (second, added):
        assert (refused.status, error_of(refused)["code"]) == (409, "turn_in_progress")
        assert refused.headers["x-should-retry"] == "false"
        assert len(error_of(refused)["turn_id"]) == 32


async def test_a_stream_has_neither_ids_nor_events_without_data(
    program: Program, puppet: Puppet
) -> None:
    async with program.asking("One") as live:
        speaking = await puppet.asked()
        speaking.say("Hel", "lo")
        speaking.finish()
        answer = await live.whole()

    assert [event.cursor for event in answer.events if event.cursor] == []
    assert all(event.data or event.raw.startswith(b":") for event in answer.events)
    assert all(event.name == event.document["type"] for event in answer.events[:-1])
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.clean


async def test_deltas_are_padded(program: Program, puppet: Puppet) -> None:
    async with program.asking("One") as live:
        speaking = await puppet.asked()
        speaking.say("a")
        short = (await live.until(DELTA))[-1]
        speaking.say("b" * 20)
        long = (await live.until(DELTA))[-1]
        speaking.finish()
        await live.whole()

    assert (len(short.raw) % 64, len(long.raw) % 64) == (0, 0)


async def test_leaving_does_not_stop_what_is_kept(program: Program, puppet: Puppet) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        speaking = await puppet.asked()
    assert (await program.response(name))["status"] == "in_progress"
    speaking.say("Hello")
    speaking.finish()

    async def has_ended() -> bool:
        return bool((await program.response(name))["status"] == "completed")

    await eventually(has_ended)


async def test_leaving_ends_what_is_not_kept(program: Program, puppet: Puppet) -> None:
    async with program.asking("One", store=False) as live:
        speaking = await puppet.asked()
        speaking.say("Hel")
        await live.until(DELTA)

    async with asyncio.timeout(10):
        await speaking.left.wait()


async def test_a_deploy_ends_what_is_not_kept(
    program: Program, puppet: Puppet, service: Served
) -> None:
    async with program.asking("One", store=False) as live:
        speaking = await puppet.asked()
        speaking.say("Hel")
        await live.until(DELTA)
        await service.runner.drain(timedelta(), timedelta(seconds=5))
        answer = await live.whole()

    assert kinds(answer.events)[-2:] == ["response.incomplete", "[DONE]"]
    refused = await program.ask("Two", store=False)
    assert (refused.status, error_of(refused)["code"]) == (503, "shutting_down")


async def test_a_background_response_is_looked_for_later(program: Program, puppet: Puppet) -> None:
    answer = await program.ask("One", background=True, metadata={"topic": "tea"})
    speaking = await puppet.asked()
    speaking.say("Hello")
    speaking.finish()
    name = answer.document["id"]

    async def has_ended() -> bool:
        return bool((await program.response(name))["status"] == "completed")

    assert (answer.document["status"], answer.document["background"]) == ("in_progress", True)
    await eventually(has_ended)
    assert (await program.response(name))["metadata"] == {"topic": "tea"}
    assert (await program.response(name))["background"] is True


async def test_cancelling_keeps_what_was_said(program: Program, puppet: Puppet) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        (await puppet.asked()).say("Hel")
        await live.until(DELTA)
        cancelled = await program.post(f"/v1/responses/{name}/cancel", {})
        answer = await live.whole()

    assert cancelled.document["status"] == "cancelled"
    assert cancelled.document["output"][0]["content"][0]["text"] == "Hel"
    assert cancelled.document["output"][0]["status"] == "incomplete"
    assert kinds(answer.events)[-2:] == ["response.incomplete", "[DONE]"]
    assert await program.response(name) == cancelled.document
    again = await program.post(f"/v1/responses/{name}/cancel", {})
    assert again.document == cancelled.document


async def test_a_running_response_is_followed_behind_any_event(
    program: Program, puppet: Puppet
) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        speaking = await puppet.asked()
        speaking.say("Hel")
        await live.until(DELTA)
        path = f"/v1/responses/{name}?stream=true"
        async with (
            program.open("GET", path) as all_of_it,
            program.open("GET", f"{path}&starting_after=4") as rest,
        ):
            first = await all_of_it.event()
            speaking.say("lo")
            speaking.finish()
            whole, tail = await all_of_it.whole(), await rest.whole()
        original = await live.whole()

    assert first.document["sequence_number"] == 0
    numbered = [event.document for event in tail.events if event.data.startswith("{")]
    assert [event["sequence_number"] for event in numbered] == [*range(5, 5 + len(numbered))]
    assert [
        event.document for event in whole.events if "delta" not in event.name and event.name
    ] == [event.document for event in original.events if "delta" not in event.name and event.name]


async def test_an_ended_response_is_retrieved_whole_instead(
    program: Program, puppet: Puppet
) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        (await puppet.asked()).finish()
        await live.whole()
    refused = await program.get(f"/v1/responses/{name}?stream=true")

    assert (refused.status, error_of(refused)["param"]) == (400, "stream")
