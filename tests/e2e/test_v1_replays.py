"""Responses that have ended, streamed again."""

from typing import Any

import pytest

from domain.model.piece import ReasoningPiece, ToolCallPiece
from tests.support.event_stream import Event, kinds, without_padding
from tests.support.fake_model import FakeModel
from tests.support.http_client import Answer
from tests.support.service import RunningService
from tests.support.v1_client import V1Client, response_id


@pytest.fixture
async def program(service: RunningService) -> V1Client:
    return await V1Client.new(service.url)


async def answered(program: V1Client, model: FakeModel, **members: Any) -> tuple[str, Answer]:
    """The id of a response with a call between texts, and its live stream."""
    async with program.asking("One", **members) as live:
        name = await response_id(live)
        reply = await model.next_reply()
        reply.send(ReasoningPiece("Let me see."))
        reply.send(ToolCallPiece(call_id="a", name="look", arguments='{"x"'))
        reply.send(ToolCallPiece(call_id="a", name="look", arguments=":1}"))
        reply.send_text("Hel", "lo")
        reply.finish()
        return name, await live.whole()


async def replay(program: V1Client, name: str, query: str = "") -> Answer:
    return await program.get(f"/v1/responses/{name}?stream=true{query}")


def numbers(events: list[Event]) -> list[int]:
    return [event.document["sequence_number"] for event in events if event.data.startswith("{")]


async def test_a_response_that_has_just_ended_streams_again_as_it_did(
    program: V1Client, fake_model: FakeModel
) -> None:
    name, live = await answered(program, fake_model)
    again = await replay(program, name)
    rest = await replay(program, name, "&starting_after=4")

    assert without_padding(again.events) == without_padding(live.events)
    assert without_padding(rest.events) == without_padding(again.events)[5:]


async def test_an_older_response_streams_again_from_its_stored_reply(
    program: V1Client, fake_model: FakeModel
) -> None:
    name, live = await answered(program, fake_model)
    await answered(program, fake_model, previous_response_id=name)
    again = await replay(program, name)
    stored = await program.response(name)

    assert again.events[-2].document["response"] == stored
    assert kinds(again.events)[-2:] == ["response.completed", "[DONE]"]
    assert numbers(again.events) == [*range(len(again.events) - 1)]
    assert len(again.events) < len(live.events)
    done = [event.document["item"] for event in again.events if event.name.endswith("item.done")]
    assert done == stored["output"]


@pytest.mark.parametrize("after", [0, 3, 900])
async def test_the_end_of_a_response_is_streamed_after_any_event(
    program: V1Client, fake_model: FakeModel, after: int
) -> None:
    name, _ = await answered(program, fake_model)
    await answered(program, fake_model, previous_response_id=name)
    again = await replay(program, name, f"&starting_after={after}")

    assert kinds(again.events)[-2:] == ["response.completed", "[DONE]"]
    assert numbers(again.events)[0] == after + 1
    assert again.events[-2].document["response"] == await program.response(name)


async def test_what_was_deleted_of_a_response_is_not_streamed_again(
    program: V1Client, fake_model: FakeModel
) -> None:
    conversation = await program.conversation()
    name, _ = await answered(program, fake_model, conversation=conversation)
    reasoning = (await program.response(name))["output"][0]["id"]
    deleted = await program.call("DELETE", f"/v1/conversations/{conversation}/items/{reasoning}")
    again = await replay(program, name)

    assert deleted.status == 200
    assert b"Let me see." not in again.body
    assert again.events[-2].document["response"] == await program.response(name)


async def test_a_response_without_a_reply_streams_its_end(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with program.asking("One") as live:
        name = await response_id(live)
        await fake_model.next_reply()
        await program.post(f"/v1/responses/{name}/cancel", {})
        await live.whole()
    again = await replay(program, name)

    assert kinds(again.events) == [
        "response.created",
        "response.in_progress",
        "response.incomplete",
        "[DONE]",
    ]
    assert again.events[-2].document["response"] == await program.response(name)


async def test_a_replay_is_one_delta_for_each_text(
    program: V1Client, fake_model: FakeModel
) -> None:
    name, _ = await answered(program, fake_model)
    await answered(program, fake_model, previous_response_id=name)
    again = await replay(program, name, "&include_obfuscation=false")
    deltas = [event.document for event in again.events if event.name.endswith(".delta")]

    assert [delta["delta"] for delta in deltas] == ["Let me see.", '{"x":1}', "Hello"]
    assert all("obfuscation" not in delta for delta in deltas)
