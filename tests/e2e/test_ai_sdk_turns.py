"""Requests of the AI SDK that meet a turn which is open already."""

import asyncio
import json
from typing import Any

from domain.model.message import FinishReason
from domain.model.piece import ToolCallPiece
from ports.language_model import ModelUnavailable
from tests.support.event_stream import kinds, text_of
from tests.support.fake_model import FakeModel
from tests.support.native_client import NativeClient

_PATIENCE = 30
TYPED = {"content_type": "application/json"}


def saying(text: str, message_id: str = "u1") -> dict[str, Any]:
    said = {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}
    return {"id": "mine", "messages": [said]}


def answering(output: str) -> dict[str, Any]:
    tool = {"type": "tool-look", "toolCallId": "a", "state": "output-available", "output": output}
    return {"id": "mine", "messages": [{"id": "x", "role": "assistant", "parts": [tool]}]}


async def run_twice(
    client: NativeClient, fake_model: FakeModel, document: dict[str, Any]
) -> list[str]:
    """What two of the same request are told, the second sent while the first is answered."""
    body = json.dumps(document).encode()
    async with (
        asyncio.timeout(_PATIENCE),
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
    told = await run_twice(client, fake_model, saying("Hello?"))

    history = (await client.get("/api/chat/mine")).document
    assert told == ["Once", "Once"]
    assert (fake_model.call_count, len(history["messages"])) == (1, 2)


async def test_tool_results_sent_twice_continue_the_reply_once(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async def asking() -> None:
        model_reply = await fake_model.next_reply()
        model_reply.send(ToolCallPiece(call_id="a", name="look", arguments="{}"))
        model_reply.finish(FinishReason.TOOL_CALLS)

    await asyncio.gather(client.post("/api/chat", saying("Look!")), asking())
    told = await run_twice(client, fake_model, answering("rain"))

    assert told == ["Once", "Once"]
    assert fake_model.call_count == 2


async def test_tool_results_can_be_sent_again_after_a_failure(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async def model_reply(*said: ToolCallPiece | str, fails: bool = False) -> None:
        told = await fake_model.next_reply()
        for one in said:
            told.send_text(one) if isinstance(one, str) else told.send(one)
        told.fail(ModelUnavailable()) if fails else told.finish()

    look = ToolCallPiece(call_id="a", name="look", arguments="{}")
    await asyncio.gather(client.post("/api/chat", saying("Look!")), model_reply(look))
    failed, _ = await asyncio.gather(
        client.post("/api/chat", answering("rain")), model_reply(fails=True)
    )
    again, _ = await asyncio.gather(
        client.post("/api/chat", answering("rain")), model_reply("Wet.")
    )

    history = (await client.get("/api/chat/mine")).document
    assert "error" in kinds(failed.events)
    assert (again.status, text_of(again.events)) == (200, "Wet.")
    assert len(history["messages"]) == 2


async def test_another_text_under_the_same_id_is_another_message(
    client: NativeClient, fake_model: FakeModel
) -> None:
    body = json.dumps(saying("Hello?")).encode()
    async with client.open("POST", "/api/chat", body, **TYPED) as first:
        await fake_model.next_reply()
        second = asyncio.create_task(client.post("/api/chat", saying("Hello!")))
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hi")
        model_reply.finish()
        await first.whole()
        answer = await second

    history = (await client.get("/api/chat/mine")).document
    assert text_of(answer.events) == "Hi"
    assert [said["parts"][-1]["text"] for said in history["messages"]] == ["Hello!", "Hi"]


async def test_simultaneous_first_messages_share_one_conversation(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async def model_reply() -> None:
        for _ in range(2):
            said = await fake_model.next_reply()
            said.send_text("Hi")
            said.finish()

    await client.get("/")
    first, second, _ = await asyncio.gather(
        client.post("/api/chat", saying("One", "u1")),
        client.post("/api/chat", saying("Two", "u2")),
        model_reply(),
    )
    history = (await client.get("/api/chat/mine")).document

    sessions = {answer.headers["x-session-id"] for answer in (first, second)}
    assert sessions == {history["sessionId"]}
    assert {said["id"] for said in history["messages"]} >= {"u1", "u2"}
