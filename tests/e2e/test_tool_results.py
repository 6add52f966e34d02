"""Native clients that run the tools which a reply calls."""

import asyncio
from typing import Any

import pytest

from domain.model.message import FinishReason, Role, ToolResultPart
from domain.model.piece import ToolCallPiece
from tests.support.event_stream import kinds, text_of
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.http_client import JSON, Answer
from tests.support.native_client import NativeClient

CALLS = (
    ToolCallPiece(call_id="a", name="weather", arguments='{"city":"Oslo"}'),
    ToolCallPiece(call_id="b", name="weather", arguments='{"city":"Rome"}'),
)
OSLO = {"toolCallId": "a", "output": {"sky": "clear"}}
ROME = {"toolCallId": "b", "error": "No network"}


async def waiting_reply(client: NativeClient, fake_model: FakeModel) -> str:
    """The id of a conversation whose last reply waits for the results of two tools."""
    await client.get_key()
    sending = asyncio.ensure_future(client.send("How is the weather?"))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("I look. ")
    for call in CALLS:
        model_reply.send(call)
    model_reply.finish(FinishReason.TOOL_CALLS)
    return (await sending).session_id


def path(session_id: str) -> str:
    return f"/api/chat/{session_id}/tool-results"


def body(*results: dict[str, Any]) -> dict[str, Any]:
    return {"results": list(results)}


async def answered(
    client: NativeClient, fake_model: FakeModel, session_id: str, **headers: str
) -> tuple[Answer, ModelReply]:
    """The answer to both results, and the reply of the model that goes on with them."""
    results = body(OSLO, ROME)
    sending = asyncio.ensure_future(client.post(path(session_id), results, **headers))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Clear in Oslo")
    model_reply.finish()
    return await sending, model_reply


async def test_results_continue_the_same_message(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await waiting_reply(client, fake_model)
    [_, waiting] = (await client.history(session_id)).document["messages"]
    answer, model_reply = await answered(client, fake_model, session_id)
    [_, reply] = (await client.history(session_id)).document["messages"]

    assert waiting["finishReason"] == "tool-calls"
    start = next(event.document for event in answer.events if event.kind == "start")
    assert start["messageId"] == waiting["id"] == reply["id"]
    assert text_of(answer.events) == "Clear in Oslo"
    assert "tool-input-start" not in kinds(answer.events)
    assert [part["type"] for part in reply["parts"]] == [
        *("text", "tool-call", "tool-call", "tool-result", "tool-result", "step-start", "text"),
    ]
    [sent] = [one for one in model_reply.prompt.messages if one.role is Role.ASSISTANT]
    assert [part for part in sent.parts if isinstance(part, ToolResultPart)] == [
        ToolResultPart(call_id="a", output='{"sky":"clear"}'),
        ToolResultPart(call_id="b", output='"No network"', failed=True),
    ]


async def test_the_reply_may_be_a_document(client: NativeClient, fake_model: FakeModel) -> None:
    session_id = await waiting_reply(client, fake_model)
    answer, _ = await answered(client, fake_model, session_id, **JSON)

    assert answer.document["reply"]["content"] == "I look. \n\nClear in Oslo"
    assert answer.document["reply"]["finishReason"] == "stop"


@pytest.mark.parametrize(
    ("results", "status", "code"),
    [
        ([], 400, "body_invalid"),
        ([OSLO] * 129, 400, "body_invalid"),
        ([OSLO], 409, "tool_results_unexpected"),
        ([OSLO, ROME, {"toolCallId": "c", "output": 1}], 409, "tool_results_unexpected"),
        ([OSLO, {"toolCallId": "b"}], 400, "body_invalid"),
        ([OSLO, {"toolCallId": "b", "error": None}], 400, "body_invalid"),
        ([OSLO, {**ROME, "output": 1}], 400, "body_invalid"),
        ([OSLO, {**ROME, "state": "done"}], 400, "body_invalid"),
        ([OSLO, {"toolCallId": "b", "output": "x" * 32_767}], 413, "tool_result_too_long"),
        ([OSLO, {"toolCallId": "b", "error": "x" * 32_767}], 413, "tool_result_too_long"),
    ],
)
async def test_other_results_are_rejected_and_change_nothing(
    client: NativeClient,
    fake_model: FakeModel,
    results: list[dict[str, Any]],
    status: int,
    code: str,
) -> None:
    session_id = await waiting_reply(client, fake_model)
    answer = await client.post(path(session_id), body(*results))

    assert (answer.status, answer.code) == (status, code)
    accepted, _ = await answered(client, fake_model, session_id)
    assert accepted.status == 200


async def test_null_is_an_output(client: NativeClient, fake_model: FakeModel) -> None:
    session_id = await waiting_reply(client, fake_model)
    results = body(OSLO, {"toolCallId": "b", "output": None})
    sending = asyncio.ensure_future(client.post(path(session_id), results))
    (await fake_model.next_reply()).finish()

    assert (await sending).status == 200


async def test_a_repeated_request_gets_the_same_reply(
    client: NativeClient, fake_model: FakeModel
) -> None:
    session_id = await waiting_reply(client, fake_model)
    key = {"idempotency_key": "k1"}
    first, _ = await answered(client, fake_model, session_id, **key)
    again = await client.post(path(session_id), body(OSLO, ROME), **key)

    assert text_of(again.events) == text_of(first.events) == "Clear in Oslo"


async def test_results_for_an_unknown_conversation_are_refused(client: NativeClient) -> None:
    await client.get_key()
    answer = await client.post(path("0a9efcbb-7f63-4a82-9119-db150eaa45b6"), body(OSLO))

    assert (answer.status, answer.code) == (404, "conversation_not_found")


async def test_a_user_need_not_answer(client: NativeClient, fake_model: FakeModel) -> None:
    session_id = await waiting_reply(client, fake_model)
    sending = asyncio.ensure_future(client.send("Never mind", session_id))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("As you wish")
    model_reply.finish()
    await sending
    late = await client.post(path(session_id), body(OSLO, ROME))

    assert (late.status, late.code) == (409, "tool_results_unexpected")
    assert [one.text for one in model_reply.prompt.messages][-1] == "Never mind"
