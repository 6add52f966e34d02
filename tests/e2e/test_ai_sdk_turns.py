"""AI SDK requests while a turn is already open."""

import asyncio
import json
from typing import Any

import pytest

from domain.model.message import FinishReason
from domain.model.piece import ToolCallPiece
from ports.language_model import ModelUnavailable
from tests.support.event_stream import kinds, text_of
from tests.support.fake_model import FakeModel
from tests.support.native_client import NativeClient

_TIMEOUT = 30
TYPED = {"content_type": "application/json"}


def message_body(text: str, message_id: str = "u1") -> dict[str, Any]:
    message = {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}
    return {"id": "mine", "messages": [message]}


def tool_result_body(output: str) -> dict[str, Any]:
    tool = {"type": "tool-look", "toolCallId": "a", "state": "output-available", "output": output}
    return {"id": "mine", "messages": [{"id": "x", "role": "assistant", "parts": [tool]}]}


async def run_twice(
    client: NativeClient, fake_model: FakeModel, document: dict[str, Any]
) -> list[str]:
    """The replies to the same request sent twice, the second before the first is answered."""
    body = json.dumps(document).encode()
    async with (
        asyncio.timeout(_TIMEOUT),
        client.open("POST", "/api/chat", body, **TYPED) as first,
        client.open("POST", "/api/chat", body, **TYPED) as second,
    ):
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Once")
        model_reply.finish()
        answers = [await live.whole() for live in (first, second)]
    return [text_of(answer.events) for answer in answers]


async def test_a_message_sent_twice_is_answered_once(
    client: NativeClient, fake_model: FakeModel
) -> None:
    replies = await run_twice(client, fake_model, message_body("Hello?"))

    history = (await client.get("/api/chat/mine")).document
    assert replies == ["Once", "Once"]
    assert (fake_model.call_count, len(history["messages"])) == (1, 2)


async def test_tool_results_sent_twice_continue_the_reply_once(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async def call_tool() -> None:
        model_reply = await fake_model.next_reply()
        model_reply.send(ToolCallPiece(call_id="a", name="look", arguments="{}"))
        model_reply.finish(FinishReason.TOOL_CALLS)

    await asyncio.gather(client.post("/api/chat", message_body("Look!")), call_tool())
    replies = await run_twice(client, fake_model, tool_result_body("rain"))

    assert replies == ["Once", "Once"]
    assert fake_model.call_count == 2


async def test_tool_results_can_be_sent_again_after_a_failure(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async def reply_with(*pieces: ToolCallPiece | str, fails: bool = False) -> None:
        model_reply = await fake_model.next_reply()
        for piece in pieces:
            model_reply.send_text(piece) if isinstance(piece, str) else model_reply.send(piece)
        model_reply.fail(ModelUnavailable()) if fails else model_reply.finish()

    look = ToolCallPiece(call_id="a", name="look", arguments="{}")
    await asyncio.gather(client.post("/api/chat", message_body("Look!")), reply_with(look))
    failed, _ = await asyncio.gather(
        client.post("/api/chat", tool_result_body("rain")), reply_with(fails=True)
    )
    again, _ = await asyncio.gather(
        client.post("/api/chat", tool_result_body("rain")), reply_with("Wet.")
    )

    history = (await client.get("/api/chat/mine")).document
    assert "error" in kinds(failed.events)
    assert (again.status, text_of(again.events)) == (200, "Wet.")
    assert len(history["messages"]) == 2


async def test_another_text_under_the_same_id_is_another_message(
    client: NativeClient, fake_model: FakeModel
) -> None:
    body = json.dumps(message_body("Hello?")).encode()
    async with client.open("POST", "/api/chat", body, **TYPED) as first:
        await fake_model.next_reply()
        second = asyncio.create_task(client.post("/api/chat", message_body("Hello!")))
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hi")
        model_reply.finish()
        await first.whole()
        answer = await second

    history = (await client.get("/api/chat/mine")).document
    assert text_of(answer.events) == "Hi"
    assert [message["parts"][-1]["text"] for message in history["messages"]] == ["Hello!", "Hi"]


async def test_simultaneous_first_messages_share_one_conversation(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async def model_reply() -> None:
        for _ in range(2):
            reply = await fake_model.next_reply()
            reply.send_text("Hi")
            reply.finish()

    await client.get_key()
    first, second, _ = await asyncio.gather(
        client.post("/api/chat", message_body("One", "u1")),
        client.post("/api/chat", message_body("Two", "u2")),
        model_reply(),
    )
    history = (await client.get("/api/chat/mine")).document

    sessions = {answer.headers["x-session-id"] for answer in (first, second)}
    assert sessions == {history["sessionId"]}
    assert {message["id"] for message in history["messages"]} >= {"u1", "u2"}


async def say(client: NativeClient, fake_model: FakeModel, *texts: str) -> None:
    """Send messages with the ids u1, u2 and so on, and answer them."""
    for number, text in enumerate(texts, 1):
        sending = client.post("/api/chat", message_body(text, f"u{number}"))
        await asyncio.gather(sending, finish_next(fake_model))


async def finish_next(fake_model: FakeModel) -> None:
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Well.")
    model_reply.finish()


STALE: dict[str, dict[str, Any]] = {
    "the newest reply": {"trigger": "regenerate-message"},
    "a named reply": {
        "trigger": "regenerate-message",
        "messageId": "u1",
        "lastMessageId": "u1",
    },
    "an edit": {"messageId": "u1", "lastMessageId": "u1"},
    "a message that is sent again": {},
}


@pytest.mark.parametrize("case", STALE)
async def test_a_stale_tab_does_not_delete_what_it_has_not_seen(
    client: NativeClient, fake_model: FakeModel, case: str
) -> None:
    await say(client, fake_model, "One", "Two")
    body = {**message_body("One"), **STALE[case]}

    refused = await client.post("/api/chat", body)
    kept = (await client.get("/api/chat/mine")).document["messages"]
    forced, _ = await asyncio.gather(
        client.post("/api/chat", {**body, "force": True}), finish_next(fake_model)
    )
    left = (await client.get("/api/chat/mine")).document["messages"]

    assert (refused.status, refused.document["code"]) == (409, "conversation_moved_on")
    assert [message["id"] for message in kept][::2] == ["u1", "u2"]
    assert forced.status == 200
    assert [message["role"] for message in left] == ["user", "assistant"]


@pytest.mark.parametrize(
    "members",
    [
        {"trigger": "regenerate-message", "messageId": "u1"},
        {"trigger": "regenerate-message", "messageId": "u1", "lastMessageId": "u2"},
        {"messageId": "u1"},
        {"messageId": "u1", "lastMessageId": "u2"},
    ],
)
async def test_a_tab_that_names_a_message_may_delete_what_follows_it(
    client: NativeClient, fake_model: FakeModel, members: dict[str, Any]
) -> None:
    await say(client, fake_model, "One", "Two")
    body = {**message_body("One"), **members}
    await asyncio.gather(client.post("/api/chat", body), finish_next(fake_model))

    left = (await client.get("/api/chat/mine")).document["messages"]
    assert [message["role"] for message in left] == ["user", "assistant"]


async def test_a_stale_tab_stops_no_reply(client: NativeClient, fake_model: FakeModel) -> None:
    await say(client, fake_model, "One")
    body = json.dumps(message_body("Two", "u2")).encode()
    async with client.open("POST", "/api/chat", body, **TYPED) as live:
        model_reply = await fake_model.next_reply()
        stale = {**message_body("One"), "trigger": "regenerate-message"}
        refused = await client.post("/api/chat", stale)
        model_reply.send_text("Still here.")
        model_reply.finish()
        answer = await live.whole()

    assert refused.document["code"] == "conversation_moved_on"
    assert text_of(answer.events) == "Still here."


@pytest.mark.parametrize(
    "sent",
    [{"draft": 7, "createdAt": 1}, {"a": "a" * (4_096 - len('{"a":""}'))}, {}, None, "a text"],
)
async def test_the_metadata_of_a_users_message_is_kept(
    client: NativeClient, fake_model: FakeModel, sent: Any
) -> None:
    body = message_body("One")
    body["messages"][0]["metadata"] = sent
    await asyncio.gather(client.post("/api/chat", body), finish_next(fake_model))

    history = (await client.get("/api/chat/mine")).document
    [question, _] = history["messages"]
    metadata = question["metadata"]
    if isinstance(sent, str):
        assert metadata == sent
    else:
        own = {"sessionId": history["sessionId"], "createdAt": metadata["createdAt"]}
        assert metadata == {**own, **(sent or {})}
    assert [part["type"] for part in question["parts"]] == ["text"]


async def test_a_message_with_other_metadata_is_the_same_message(
    client: NativeClient, fake_model: FakeModel
) -> None:
    first, second = message_body("One"), message_body("One")
    second["messages"][0]["metadata"] = {"attempt": 2}
    async with client.open("POST", "/api/chat", json.dumps(first).encode(), **TYPED) as live:
        model_reply = await fake_model.next_reply()
        async with client.open("POST", "/api/chat", json.dumps(second).encode(), **TYPED) as again:
            model_reply.send_text("Once")
            model_reply.finish()
            answers = [await live.whole(), await again.whole()]

    assert [text_of(answer.events) for answer in answers] == ["Once", "Once"]
    assert fake_model.call_count == 1
