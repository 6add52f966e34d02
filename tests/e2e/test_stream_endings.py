"""How a stream ends: complete, stopped, broken off, or without a reader."""

import asyncio

import pytest

from domain.model.message import FinishReason
from domain.model.piece import ReasoningPiece
from ports.language_model import ModelTimedOut
from tests.support.event_stream import documents, kinds
from tests.support.fake_model import FakeModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient, eventually


async def a_reply(client: NativeClient, fake_model: FakeModel, *texts: str) -> Answer:
    """A finished reply of these pieces, all available at once."""
    async with client.streaming("Go on") as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text(*texts)
        model_reply.finish()
        return await live.whole()


async def test_done_comes_before_the_metadata(client: NativeClient, fake_model: FakeModel) -> None:
    answer = await a_reply(client, fake_model, "Hi")

    info = answer.events[-1].document
    assert kinds(answer.events)[-2:] == ["[DONE]", "metadata-info"]
    assert set(info) == {"cost", "latency", "timestamp"}
    assert info["cost"] is None
    assert 0 <= info["latency"] < 10_000
    assert info["timestamp"] > 1_700_000_000_000


@pytest.mark.parametrize("texts", [(), ("Hel",)])
async def test_a_failure_is_an_error_event_and_a_broken_transfer(
    client: NativeClient, fake_model: FakeModel, texts: tuple[str, ...]
) -> None:
    async with client.streaming("Hello?") as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text(*texts)
        model_reply.fail(ModelTimedOut())
        answer = await live.whole()

    text_events = ["text-start", "text-delta", "text-end"] if texts else []
    error = answer.events[-1].document
    assert kinds(answer.events) == ["session-id", "start", "start-step", *text_events, "error"]
    assert error["errorText"] == ModelTimedOut.message
    assert error["code"] == "model_timeout"
    assert not answer.clean


async def test_a_stopped_reply_ends_cleanly_with_abort(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id = (await live.event()).document["sessionId"]
        (await fake_model.next_reply()).send_text("Hel")
        await live.until("text-delta")
        await client.stop(session_id)
        answer = await live.whole()

    ending = ["text-end", "message-metadata", "abort", "[DONE]", "metadata-info"]
    assert kinds(answer.events)[-5:] == ending
    assert documents(answer.events, "message-metadata")[0]["messageMetadata"] == {
        "aborted": True,
        "expiresAt": (await client.history(session_id)).document["expiresAt"],
    }
    assert answer.clean


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
async def test_a_reply_without_text_says_everywhere_why_it_ended(
    client: NativeClient, fake_model: FakeModel, reason: FinishReason
) -> None:
    async def only_think() -> None:
        model_reply = await fake_model.next_reply()
        model_reply.send(ReasoningPiece("Let me see. "))
        model_reply.finish(reason)

    streamed, _ = await asyncio.gather(client.send("One"), only_think())
    session_id = streamed.session_id
    document, _ = await asyncio.gather(client.send_for_document("Two", session_id), only_think())

    history = (await client.history(session_id)).document["messages"]
    finish = documents(streamed.events, "finish")[0]
    ui_messages = (await client.get(f"/api/chat/{session_id}")).document["messages"]
    assert finish["finishReason"] == reason.value
    assert finish["messageMetadata"]["finishReason"] == reason.value
    assert (document["reply"]["content"], document["reply"]["finishReason"]) == ("", reason.value)
    assert [message["finishReason"] for message in history] == [None, reason.value] * 2
    assert ui_messages[1]["metadata"]["finishReason"] == reason.value


async def test_a_client_that_disconnects_finds_the_finished_reply(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id = (await live.event()).document["sessionId"]
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        await live.until("text-delta")
    model_reply.send_text("lo")
    model_reply.finish()
    await eventually(lambda: client.has_ended(session_id))

    assert await client.transcript(session_id) == [("user", "Hello?"), ("assistant", "Hello")]
