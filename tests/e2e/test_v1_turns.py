"""Responses while they are being written: one at a time, cancelled, abandoned, followed."""

import asyncio
from datetime import timedelta

import pytest

from domain.model.identifiers import ConversationRef, TurnId
from entrypoints.usecases.stop_turn import StopTurn
from tests.support.event_stream import kinds
from tests.support.fake_model import FakeModel
from tests.support.native_client import eventually
from tests.support.service import RunningService
from tests.support.v1_client import V1Client, error_of, response_id

DELTA = "response.output_text.delta"


@pytest.fixture
async def program(service: RunningService) -> V1Client:
    return await V1Client.new(service.url)


async def test_a_second_question_is_refused_while_the_first_is_answered(
    program: V1Client, fake_model: FakeModel
) -> None:
    conversation = await program.conversation()
    async with program.asking("One", conversation=conversation) as live:
        model_reply = await fake_model.next_reply()
        second = await program.ask("Two", conversation=conversation)
        items = {"items": [{"role": "user", "content": "Two"}]}
        added = await program.post(f"/v1/conversations/{conversation}/items", items)
        model_reply.finish()
        await live.whole()

    for refused in (second, added):
        assert (refused.status, error_of(refused)["code"]) == (409, "turn_in_progress")
        assert refused.headers["x-should-retry"] == "false"
        assert len(error_of(refused)["turn_id"]) == 32


async def test_a_stream_has_neither_ids_nor_events_without_data(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with program.asking("One") as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel", "lo")
        model_reply.finish()
        answer = await live.whole()

    assert [event.cursor for event in answer.events if event.cursor] == []
    assert all(event.data or event.raw.startswith(b":") for event in answer.events)
    assert all(event.name == event.document["type"] for event in answer.events[:-1])
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.clean


async def test_deltas_are_padded(program: V1Client, fake_model: FakeModel) -> None:
    async with program.asking("One") as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("a")
        short = (await live.until(DELTA))[-1]
        model_reply.send_text("b" * 20)
        long = (await live.until(DELTA))[-1]
        model_reply.finish()
        await live.whole()

    assert (len(short.raw) % 64, len(long.raw) % 64) == (0, 0)


async def test_a_lost_connection_does_not_stop_a_stored_reply(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        model_reply = await fake_model.next_reply()
    assert (await program.response(name))["status"] == "in_progress"
    model_reply.send_text("Hello")
    model_reply.finish()

    async def has_ended() -> bool:
        return bool((await program.response(name))["status"] == "completed")

    await eventually(has_ended)


async def test_a_lost_connection_ends_a_reply_that_is_not_stored(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with program.asking("One", store=False) as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        await live.until(DELTA)

    async with asyncio.timeout(10):
        await model_reply.closed.wait()


async def test_a_deploy_ends_a_reply_that_is_not_stored(
    program: V1Client, fake_model: FakeModel, service: RunningService
) -> None:
    async with program.asking("One", store=False) as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        await live.until(DELTA)
        await service.runner.drain(timedelta(), timedelta(seconds=5))
        answer = await live.whole()

    assert kinds(answer.events)[-2:] == ["response.incomplete", "[DONE]"]
    refused = await program.ask("Two", store=False)
    assert (refused.status, error_of(refused)["code"]) == (503, "shutting_down")


async def test_a_background_response_is_retrieved_later(
    program: V1Client, fake_model: FakeModel
) -> None:
    answer = await program.ask("One", background=True, metadata={"topic": "tea"})
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hello")
    model_reply.finish()
    name = answer.document["id"]

    async def has_ended() -> bool:
        return bool((await program.response(name))["status"] == "completed")

    assert (answer.document["status"], answer.document["background"]) == ("in_progress", True)
    await eventually(has_ended)
    assert (await program.response(name))["metadata"] == {"topic": "tea"}
    assert (await program.response(name))["background"] is True


async def test_a_response_that_was_forgotten_while_it_was_cancelled_is_gone(
    program: V1Client, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop_late(stop_turn: StopTurn, ref: ConversationRef, _: TurnId) -> bool:
        await stop_turn.open_turn.store.forget(ref)
        return True

    monkeypatch.setattr(StopTurn, "__call__", stop_late)
    async with program.asking("Hello?") as live:
        name = await response_id(live)
        await fake_model.next_reply()
        cancelled = await program.post(f"/v1/responses/{name}/cancel", {})

    assert (cancelled.status, error_of(cancelled)["code"]) == (410, "conversation_gone")


async def test_cancelling_keeps_the_text_written_so_far(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        (await fake_model.next_reply()).send_text("Hel")
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


async def test_a_running_response_is_followed_after_any_event(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        await live.until(DELTA)
        path = f"/v1/responses/{name}?stream=true"
        async with (
            program.open("GET", path) as all_of_it,
            program.open("GET", f"{path}&starting_after=4") as rest,
        ):
            first = await all_of_it.event()
            model_reply.send_text("lo")
            model_reply.finish()
            whole, tail = await all_of_it.whole(), await rest.whole()
        original = await live.whole()

    assert first.document["sequence_number"] == 0
    numbered = [event.document for event in tail.events if event.data.startswith("{")]
    assert [event["sequence_number"] for event in numbered] == [*range(5, 5 + len(numbered))]
    assert [
        event.document for event in whole.events if "delta" not in event.name and event.name
    ] == [event.document for event in original.events if "delta" not in event.name and event.name]
