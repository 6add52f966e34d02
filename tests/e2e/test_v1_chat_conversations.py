"""Chat completions in a conversation, which stores them."""

import asyncio

import pytest

from ports.language_model import ModelBusy, ModelUnavailable
from tests.support.chat_completions import HELLO, complete, streaming
from tests.support.fake_model import FakeModel
from tests.support.native_client import eventually
from tests.support.service import RunningService
from tests.support.v1_client import V1Client, error_of


@pytest.fixture
async def program(service: RunningService) -> V1Client:
    return await V1Client.new(service.url)


async def items_of(program: V1Client, conversation: str) -> list[str]:
    answer = await program.get(f"/v1/conversations/{conversation}/items")
    return [item["content"][0]["text"] for item in answer.document["data"]]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stored_message_is_not_sent_again_by_the_client_itself(
    program: V1Client, fake_model: FakeModel, *, stream: bool
) -> None:
    conversation = await program.conversation()
    asking = asyncio.create_task(complete(program, stream=stream, conversation=conversation))
    (await fake_model.next_reply()).fail(ModelBusy())
    refused = await asking

    assert (refused.status, error_of(refused)["code"]) == (503, "model_busy")
    assert refused.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stored_reply_that_somebody_stops_is_not_taken_for_a_whole_one(
    program: V1Client, fake_model: FakeModel, *, stream: bool
) -> None:
    conversation = await program.conversation()
    asking = asyncio.create_task(complete(program, stream=stream, conversation=conversation))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hel")
    name = conversation.replace("conv_", "resp_") + f"{1:08x}"
    await program.post(f"/v1/responses/{name}/cancel", {})
    answer = await asking
    error = answer.events[-1].document["error"] if stream else error_of(answer)

    assert error["code"] == "reply_stopped"
    assert (await program.response(name))["status"] == "cancelled"


async def test_a_lost_connection_does_not_stop_a_reply_in_a_conversation(
    program: V1Client, fake_model: FakeModel
) -> None:
    conversation = await program.conversation()
    async with streaming(program, fake_model, conversation=conversation) as (live, model_reply):
        await live.event()
    model_reply.send_text("lo")
    model_reply.finish()

    async def is_stored() -> bool:
        return await items_of(program, conversation) == ["Hello", "Hello?"]

    await eventually(is_stored)


async def test_a_repeated_request_in_a_conversation_joins_the_first(
    program: V1Client, fake_model: FakeModel
) -> None:
    conversation = await program.conversation()
    keyed = {"headers": {"idempotency_key": "once"}, "conversation": conversation}
    asking = [asyncio.create_task(complete(program, **keyed)) for _ in range(2)]
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hi")
    model_reply.finish()
    first, second = [await one for one in asking]

    assert first.document == second.document
    assert await items_of(program, conversation) == ["Hi", "Hello?"]


async def test_a_message_that_failed_is_not_stored_twice(
    program: V1Client, fake_model: FakeModel
) -> None:
    conversation = await program.conversation()
    for messages in (HELLO, HELLO, [*HELLO, {"role": "user", "content": "Are you there?"}]):
        asking = asyncio.create_task(complete(program, messages, conversation=conversation))
        (await fake_model.next_reply()).fail(ModelUnavailable())
        await asking

    assert await items_of(program, conversation) == ["Are you there?", "Hello?"]


async def test_a_second_reply_in_a_conversation_is_refused_while_the_first_is_written(
    program: V1Client, fake_model: FakeModel
) -> None:
    conversation = await program.conversation()
    async with streaming(program, fake_model, conversation=conversation) as (_, model_reply):
        refused = await complete(program, conversation=conversation)
        model_reply.finish()

    assert (refused.status, error_of(refused)["code"]) == (409, "turn_in_progress")


@pytest.mark.parametrize("stream", [True, False])
async def test_the_reply_says_how_much_of_a_long_conversation_the_model_saw(
    program: V1Client, fake_model: FakeModel, *, stream: bool
) -> None:
    items = [{"role": "user", "content": "é" * 7_500}, {"role": "assistant", "content": "Hm."}] * 10
    created = await program.post("/v1/conversations", {"items": items})
    conversation = created.document["id"]
    asking = asyncio.create_task(complete(program, stream=stream, conversation=conversation))
    (await fake_model.next_reply()).finish()
    answer = await asking
    document = answer.events[-2].document if stream else answer.document

    seen, _, total = document["metadata"]["privity_messages_seen"].partition(" of ")
    assert int(seen) < int(total) == 21
