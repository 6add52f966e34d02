"""How a stream ends: complete, stopped, broken off, or without a reader."""

import pytest

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
