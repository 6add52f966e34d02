"""A long conversation: which messages the model sees, and where the client can read it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.model.piece import ToolCallPiece
from entrypoints.settings import Settings
from tests.support.fake_model import FakeModel
from tests.support.http_client import JSON, Answer
from tests.support.model_server import ModelResponse, ModelServer, a_reply, model_server
from tests.support.native_client import NativeClient
from tests.support.service import running_service
from tests.support.v1_client import V1Client, error_of

TURNS = 30
SENTENCE = "It rains in Turku, and I want to know why that is so. "
SMALL = Settings(
    limits=False, v1=True, model_context_tokens=1_024, model_reply_tokens=128, summaries=False
)
TOO_LONG = "word " * 800
"""4,000 characters: more than a thousand tokens."""


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    def respond(body: dict[str, Any]) -> ModelResponse:
        question = body["messages"][-1]["content"]
        return a_reply(f"To {question[:4]}: ", "because of the sea. " * 5)

    async with model_server(respond=respond) as server:
        yield server


@pytest.fixture
async def program(model: ModelServer) -> AsyncIterator[V1Client]:
    settings = Settings(
        limits=False,
        v1=True,
        model_base_url=model.url,
        model_name="small",
        model_context_tokens=1_024,
        model_reply_tokens=128,
        summaries=False,
    )
    async with running_service(settings) as service:
        yield await V1Client.new(service.url)


@pytest.fixture
def client(program: V1Client) -> NativeClient:
    return program.client


def numbers_seen(body: dict[str, Any], export: dict[str, Any]) -> list[int]:
    """The numbers of the messages in a request to the model's server."""
    numbers = {message["parts"][0]["text"]: message["number"] for message in export["messages"]}
    return [numbers[message["content"]] for message in body["messages"][1:]]


async def exported(client: NativeClient, session_id: str) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get(f"/api/chat/{session_id}/export")).document
    return document


async def test_the_export_names_the_first_message_that_the_model_sees(
    client: NativeClient, model: ModelServer
) -> None:
    session_id, begins = None, []
    for turn in range(TURNS):
        text = f"{turn}. {SENTENCE}"
        document = await client.send_for_document(text, session_id)
        session_id = document["sessionId"]
        export = await exported(client, session_id)
        seen, first = numbers_seen(model.bodies[-1], export), export["workingMemoryFrom"]
        total = 2 * turn + 1
        counts = (None, None) if first == 1 else (len(seen), total)

        # The reply itself is the last message.
        assert seen == list(range(first, total + 1))
        assert (document["messagesSeen"], document["messagesTotal"]) == counts
        begins.append(first)

    assert begins == sorted(begins)
    assert 1 < len(set(begins)) <= TURNS / 3
    assert begins[-1] > TURNS


async def test_what_the_model_no_longer_sees_stays_in_the_history(client: NativeClient) -> None:
    texts = [f"{turn}. {SENTENCE}" for turn in range(TURNS)]
    session_id = (await client.send(texts[0])).session_id
    for text in texts[1:]:
        await client.send(text, session_id)

    shown = [text for role, text in await client.transcript(session_id) if role == "user"]
    export = await exported(client, session_id)
    assert shown == texts[-len(shown) :]
    questions = [message for message in export["messages"] if message["role"] == "user"]
    assert [message["parts"][0]["text"] for message in questions] == texts


async def test_regenerating_an_old_reply_shows_the_model_what_came_before(
    client: NativeClient, model: ModelServer
) -> None:
    session_id = (await client.send(f"0. {SENTENCE}")).session_id
    for turn in range(1, TURNS):
        await client.send(f"{turn}. {SENTENCE}", session_id)
    fifth = (await exported(client, session_id))["messages"][9]
    await client.post(f"/api/chat/{session_id}/regenerate", {"messageId": fifth["id"]})

    export = await exported(client, session_id)
    assert export["workingMemoryFrom"] == 1
    assert numbers_seen(model.bodies[-1], export) == list(range(1, 10))


def ui_message(text: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": text}]
    return {"id": "a", "message": {"id": "u1", "role": "user", "parts": parts}}


@pytest.mark.parametrize("body", [{"message": TOO_LONG}, ui_message(TOO_LONG)])
@pytest.mark.parametrize("headers", [{}, JSON])
async def test_a_message_without_room_is_refused_before_anything_is_stored(
    client: NativeClient, model: ModelServer, body: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = await client.post("/api/chat", body, **headers)

    assert (answer.status, answer.code) == (413, "message_too_long")
    assert "room for about" in answer.document["detail"]
    assert "word" not in answer.document["detail"]
    assert "x-session-id" not in answer.headers
    assert model.bodies == []


async def test_a_refused_message_leaves_its_conversation_as_it_was(
    client: NativeClient, model: ModelServer
) -> None:
    session_id = (await client.send("Hello?")).session_id
    before = await exported(client, session_id)
    sent = await client.post("/api/chat", {"message": TOO_LONG, "sessionId": session_id})
    path = f"/api/chat/{session_id}/regenerate"
    edited = await client.post(path, {"message": TOO_LONG})

    assert (sent.status, sent.code) == (edited.status, edited.code) == (413, "message_too_long")
    assert await exported(client, session_id) == before
    assert len(model.bodies) == 1


def refusal(answer: Answer) -> tuple[int, str, str | None]:
    error = error_of(answer)
    return answer.status, error["code"], error["param"]


@pytest.mark.parametrize("members", [{"stream": True}, {"store": False}, {}])
async def test_on_v1_an_input_without_room_exceeds_the_context_length(
    program: V1Client, model: ModelServer, members: dict[str, Any]
) -> None:
    answer = await program.ask(TOO_LONG, **members)

    assert refusal(answer) == (400, "context_length_exceeded", "input")
    assert model.bodies == []


async def test_a_chat_completion_without_room_exceeds_the_context_length(
    program: V1Client,
) -> None:
    conversation = await program.conversation()
    body = {
        "messages": [{"role": "user", "content": TOO_LONG}],
        "metadata": {"privity_conversation": conversation},
    }
    answer = await program.post("/v1/chat/completions", body)

    assert refusal(answer) == (400, "context_length_exceeded", "messages")


async def test_a_tool_result_without_room_is_refused(fake_model: FakeModel) -> None:
    async with running_service(SMALL, model=fake_model) as service:
        client = (await V1Client.new(service.url)).client
        asking = asyncio.create_task(client.post("/api/chat", ui_message("Look!")))
        model_reply = await fake_model.next_reply()
        model_reply.send(ToolCallPiece(call_id="c", name="look", arguments="{}"))
        model_reply.finish()
        assert (await asking).status == 200
        part = {"type": "tool-look", "toolCallId": "c", "state": "output-available"}
        parts = [{**part, "input": {}, "output": TOO_LONG}]
        message = {"id": "r", "role": "assistant", "parts": parts}
        answer = await client.post("/api/chat", {"id": "a", "message": message})

        assert (answer.status, answer.code) == (413, "tool_result_too_long")
        assert "The result is too long" in answer.document["detail"]
