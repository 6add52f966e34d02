"""Continuing a reply that was cut: the same message goes on, in every view of the conversation."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from attrs import evolve

from domain.model.message import FinishReason
from domain.model.piece import ModelPiece, ReasoningPiece, TextPiece
from domain.model.prompt import CONTINUE_INSTRUCTION
from tests.support.event_stream import Event, documents, kinds, text_of
from tests.support.fake_model import USAGE, FakeModel, ModelReply
from tests.support.http_client import JSON, Answer
from tests.support.model_server import (
    DONE,
    ModelResponse,
    a_reply,
    delta,
    finished,
    model_server,
)
from tests.support.native_client import NativeClient
from tests.support.service import UNLIMITED, RunningService, running_service
from tests.support.v1_client import V1Client

LENGTH = FinishReason.LENGTH
BOTH = {
    "inputTokens": 2 * (USAGE.input_tokens or 0),
    "outputTokens": 2 * (USAGE.output_tokens or 0),
}
CUT = (ReasoningPiece("Hm."), TextPiece("Once upon a ti"))


async def write(
    reply: ModelReply, *pieces: ModelPiece | str, reason: FinishReason = LENGTH
) -> None:
    for piece in pieces:
        reply.send_text(piece) if isinstance(piece, str) else reply.send(piece)
    reply.finish(reason)


async def answered(
    request: Awaitable[Answer],
    fake_model: FakeModel,
    *pieces: ModelPiece | str,
    reason: FinishReason = LENGTH,
) -> Answer:
    """The answer to a request whose reply consists of these pieces."""
    sending = asyncio.ensure_future(request)
    await write(await fake_model.next_reply(), *pieces, reason=reason)
    return await sending


async def cut_reply(client: NativeClient, fake_model: FakeModel) -> str:
    """The id of a conversation whose last reply was cut."""
    if "authorization" not in client.headers:
        await client.get_key()
    return (await answered(client.send("Tell me a story"), fake_model, *CUT)).session_id


def path(session_id: str) -> str:
    return f"/api/chat/{session_id}/continue"


def parts_of(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Kind and text of each part, as a client puts them together from the chunks."""
    found: dict[str, tuple[str, str]] = {}
    for event in events:
        if event.data.startswith("{") and event.kind.endswith("-delta"):
            chunk = event.document
            kind, text = found.get(chunk["id"], (event.kind.removesuffix("-delta"), ""))
            found[chunk["id"]] = (kind, text + chunk["delta"])
    return list(found.values())


def stored_parts(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(part["type"], part["text"]) for part in message["parts"]]


async def test_the_reply_goes_on_in_the_same_message(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await cut_reply(client, fake_model)
    cut = (await client.history(session_id)).document["messages"][-1]
    sending = asyncio.ensure_future(client.post(path(session_id), {"messageId": cut["id"]}))
    reply = await fake_model.next_reply()
    await write(reply, ReasoningPiece("On."), "me", " there", reason=FinishReason.STOP)
    events = (await sending).events

    assert reply.prompt.continues_reply
    assert reply.prompt.messages[-1].text == "Once upon a ti"
    message = (await client.history(session_id)).document["messages"][-1]
    assert cut["finishReason"] == "length"
    assert (message["id"], message["content"]) == (cut["id"], "Once upon a time there")
    assert (message["status"], message["finishReason"]) == ("finished", "stop")
    assert parts_of(events) == stored_parts(message)
    assert [start["messageId"] for start in documents(events, "start")] == [cut["id"]]
    assert documents(events, "finish")[0]["messageMetadata"]["usage"] == BOTH
    exported = (await client.get(f"/api/chat/{session_id}/export")).document["messages"][-1]
    assert (exported["id"], exported["usage"]) == (cut["id"], BOTH)


async def test_as_a_document_the_whole_message_is_returned(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await cut_reply(client, fake_model)
    answer = await answered(client.post(path(session_id), {}, **JSON), fake_model, "me")

    assert answer.document["reply"]["content"] == "Once upon a time"
    assert answer.document["reply"]["finishReason"] == "length"
    assert answer.document["usage"] == BOTH


async def test_a_second_view_and_a_retry_follow_the_same_turn(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await cut_reply(client, fake_model)
    key = {"idempotency_key": "k"}
    first = asyncio.ensure_future(client.post(path(session_id), {}, **key))
    reply = await fake_model.next_reply()
    reply.send_text("me")
    typed = {"content_type": "application/json"}
    async with (
        client.resume(session_id) as live,
        client.open("POST", path(session_id), b"{}", **typed) as again,
    ):
        await live.until("text-delta")
        await again.until("text-delta")
        reply.send_text("!")
        reply.finish()
        answers = [await live.whole(), await again.whole(), await first]
    answers.append(await client.post(path(session_id), {}, **key))

    assert [text_of(answer.events) for answer in answers] == ["Once upon a time!"] * 4
    assert fake_model.call_count == 2
    message = (await client.history(session_id)).document["messages"][-1]
    assert all(parts_of(answer.events) == stored_parts(message) for answer in answers)


async def test_a_client_that_lost_the_connection_gets_the_rest(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await cut_reply(client, fake_model)
    sending = asyncio.ensure_future(client.post(path(session_id), {}))
    reply = await fake_model.next_reply()
    reply.send_text("me", " there")
    turn_id = (await client.turn(session_id))["id"]
    async with client.resume(session_id, f"{turn_id}.1") as live:
        await live.until("text-delta")
        reply.finish()
        rest = await live.whole()
    await sending

    assert text_of(rest.events) == " there"
    assert documents(rest.events, "text-delta")[0]["id"] == "p0"


async def test_a_continuation_can_be_stopped_and_continued_again(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await cut_reply(client, fake_model)
    sending = asyncio.ensure_future(client.post(path(session_id), {}))
    reply = await fake_model.next_reply()
    reply.send_text("me")
    async with client.resume(session_id) as live:
        await live.until("text-delta")
        await client.stop(session_id)
    stopped = await sending
    message = (await client.history(session_id)).document["messages"][-1]
    again = await answered(client.post(path(session_id), {}), fake_model, "!")

    assert "abort" in kinds(stopped.events)
    assert (message["content"], message["status"]) == ("Once upon a time", "interrupted")
    assert text_of(again.events) == "Once upon a time!"


async def test_a_failure_leaves_the_reply_as_it_was(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await cut_reply(client, fake_model)
    before = (await client.history(session_id)).document["messages"]
    sending = asyncio.ensure_future(client.post(path(session_id), {}, **JSON))
    (await fake_model.next_reply()).fail()
    failed = await sending
    history = (await client.history(session_id)).document

    assert (failed.status, failed.code) == (502, "model_failed")
    assert history["messages"] == before
    assert (history["turn"]["status"], history["turn"]["error"]) == ("failed", "model_failed")
    again = await answered(client.post(path(session_id), {}), fake_model, "me")
    assert text_of(again.events) == "Once upon a time"


async def test_what_cannot_be_continued_is_refused(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await cut_reply(client, fake_model)
    question = (await client.history(session_id)).document["messages"][0]["id"]

    async def refused(**body: str) -> tuple[int, str]:
        answer = await client.post(path(session_id), body)
        return answer.status, answer.code

    assert await refused(messageId=question) == (409, "nothing_to_continue")
    assert await refused(messageId="unknown") == (404, "message_not_found")
    assert await refused(messageId="\n") == (400, "message_id_malformed")
    assert await refused(onBusy="interrupt") == (400, "body_invalid")
    await answered(client.send("More?", session_id), fake_model, "No.", reason=FinishReason.STOP)
    assert await refused() == (409, "nothing_to_continue")
    sending = asyncio.ensure_future(client.send("Still?", session_id))
    reply = await fake_model.next_reply()
    assert await refused() == (409, "turn_in_progress")
    reply.finish()
    await sending


async def test_a_continued_reply_reads_as_one_message_through_v1(
    service: RunningService, fake_model: FakeModel
) -> None:
    program = await V1Client.new(service.url)
    client = program.client
    session_id = await cut_reply(client, fake_model)
    await answered(client.post(path(session_id), {}), fake_model, "me", reason=FinishReason.STOP)
    name = session_id.replace("-", "")
    items = (await program.get(f"/v1/conversations/conv_{name}/items")).document

    texts = [
        content["text"]
        for item in items["data"]
        if item["type"] == "message" and item["role"] == "assistant"
        for content in item["content"]
    ]
    assert texts == ["Once upon a time"]


async def test_the_model_is_asked_to_continue_and_the_question_is_never_stored() -> None:
    cut = ModelResponse(chunks=(delta(content="Once upon a ti"), finished("length"), DONE))
    async with model_server(cut, a_reply("me")) as model:
        settings = evolve(UNLIMITED, model_base_url=model.url, model_name="small-1")
        async with running_service(settings) as service:
            client = NativeClient(service.url)
            await client.get_key()
            session_id = (await client.send("Hello")).session_id
            await client.post(path(session_id), {})
            transcript = await client.transcript(session_id)

    assert model.bodies[1]["messages"][-2:] == [
        {"role": "assistant", "content": "Once upon a ti"},
        {"role": "user", "content": CONTINUE_INSTRUCTION},
    ]
    assert transcript == [("user", "Hello"), ("assistant", "Once upon a time")]
