"""A streamed reply as it is sent."""

from datetime import timedelta

import pytest

from domain.model.message import FinishReason
from domain.model.piece import ReasoningPiece, ToolCallPiece
from tests.support.event_stream import documents, kinds, text_of
from tests.support.fake_model import FakeModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient


async def a_reply(client: NativeClient, fake_model: FakeModel, *texts: str) -> Answer:
    """A finished reply of these pieces, all available at once."""
    async with client.streaming("Go on") as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text(*texts)
        model_reply.finish()
        return await live.whole()


async def test_the_events_come_in_this_order(client: NativeClient, fake_model: FakeModel) -> None:
    answer = await a_reply(client, fake_model, "One ", "two")

    assert kinds(answer.events) == [
        "session-id",
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
        "[DONE]",
        "metadata-info",
    ]
    assert answer.clean


async def test_lines_end_with_lf_only_and_the_last_event_is_complete(
    client: NativeClient, fake_model: FakeModel
) -> None:
    answer = await a_reply(client, fake_model, "line\r\nline\n\nline\u2028\x85")

    assert b"\r" not in answer.body
    assert answer.body.endswith(b"}\n\n")
    assert text_of(answer.events) == "line\r\nline\n\nline\u2028\x85"


async def test_the_headers_keep_proxies_from_changing_the_stream(
    client: NativeClient, fake_model: FakeModel
) -> None:
    answer = await a_reply(client, fake_model, "Hi")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer.headers["x-session-id"] == answer.session_id
    assert "content-length" not in answer.headers


async def test_the_first_events_come_before_the_models_first_piece(client: NativeClient) -> None:
    async with client.streaming("Hello?") as live:
        events = await live.until("start-step")

    assert kinds(events) == ["session-id", "start", "start-step"]


async def test_the_ids_are_those_of_turn_and_history(
    client: NativeClient, fake_model: FakeModel
) -> None:
    answer = await a_reply(client, fake_model, "One ", "two")

    history = (await client.history(answer.session_id)).document
    start = answer.events[1].document
    cursors = [event.cursor for event in answer.events if event.cursor]
    assert start["messageId"] == history["messages"][-1]["id"]
    assert start["messageMetadata"] == {
        "sessionId": answer.session_id,
        "turnId": history["turn"]["id"],
    }
    assert cursors == [f"{history['turn']['id']}.{number}" for number in range(3)]
    assert documents(answer.events, "finish")[0]["messageMetadata"] == {
        "finishReason": "stop",
        "usage": {"inputTokens": 7, "outputTokens": 3},
        "expiresAt": history["expiresAt"],
    }


async def test_the_sizes_of_pieces_reveal_nothing(
    client: NativeClient, fake_model: FakeModel
) -> None:
    words = [*("a" * length for length in range(1, 140, 3)), "ä\n€\U0001f600", '"' * 9]
    answer = await a_reply(client, fake_model, *words)

    deltas = [event for event in answer.events if event.kind == "text-delta"]
    assert [event.document["delta"] for event in deltas] == words
    assert {len(event.raw) % 64 for event in deltas} == {0}


async def test_pieces_that_are_ready_together_are_sent_in_one_chunk(
    client: NativeClient, fake_model: FakeModel
) -> None:
    answer = await a_reply(client, fake_model, *"abcdefgh")

    assert sum(b"text-delta" in chunk for chunk in answer.chunks) == 1


async def test_reasoning_and_tool_calls_are_separate_parts(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Count") as live:
        model_reply = await fake_model.next_reply()
        model_reply.send(ReasoningPiece("Hm"))
        model_reply.send_text("Well")
        for arguments in ('{"n":', "1}"):
            model_reply.send(ToolCallPiece(call_id="c1", name="count", arguments=arguments))
        model_reply.send(ToolCallPiece(call_id="c2", name="count", arguments="{broken"))
        model_reply.finish(FinishReason.TOOL_CALLS)
        events = (await live.whole()).events

    assert kinds(events)[3:-4] == [
        *("reasoning-start", "reasoning-delta", "reasoning-end"),
        *("text-start", "text-delta", "text-end"),
        *("tool-input-start", "tool-input-delta", "tool-input-delta"),
        *("tool-input-start", "tool-input-delta"),
        *("tool-input-available", "tool-input-error"),
    ]
    assert documents(events, "tool-input-available")[0]["input"] == {"n": 1}
    assert documents(events, "finish")[0]["finishReason"] == "tool-calls"


async def test_heartbeats_are_sent_while_the_model_is_silent(
    client: NativeClient, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = timedelta(milliseconds=10)
    monkeypatch.setattr("entrypoints.http.reply_stream.HEARTBEAT_INTERVAL", every)

    async with client.streaming("Hello?") as live:
        await live.until(": ping")
        await live.until(": ping")
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Here")
        model_reply.finish()
        answer = await live.whole()

    assert text_of(answer.events) == "Here"
    assert answer.clean
