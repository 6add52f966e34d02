"""Tools of the assistant's file that the client runs: a model server gets them, and calls them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.support.event_stream import kinds, text_of
from tests.support.model_server import (
    DONE,
    ModelResponse,
    ModelServer,
    a_reply,
    delta,
    finished,
    model_server,
)
from tests.support.native_client import NativeClient
from tests.support.service import UNLIMITED, RunningService, running_service
from tests.support.v1_client import V1Client

PROFILE = """
system_prompt = "Be kind."

[welcome]
en = "Welcome"

[[tools.client]]
name = "show_map"
description = "Shows a place on the map."
parameters = { type = "object", properties = { place = { type = "string" } } }
"""
DECLARED = {
    "type": "function",
    "function": {
        "name": "show_map",
        "description": "Shows a place on the map.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    },
}
CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "show_map", "arguments": '{"place":"Oslo"}'},
}
CALLING = ModelResponse(chunks=(delta(tool_calls=[CALL]), finished("tool_calls"), DONE))


def respond(body: dict[str, Any]) -> ModelResponse:
    """Calls the tool if it is offered, and replies once there is its result."""
    has_result = body["messages"][-1]["role"] == "tool"
    return CALLING if body.get("tools") and not has_result else a_reply("There it is.")


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with model_server(respond=respond) as server:
        yield server


@pytest.fixture
async def service(model: ModelServer, tmp_path: Path) -> AsyncIterator[RunningService]:
    file = tmp_path / "assistant.toml"
    file.write_text(PROFILE)
    settings = evolve(
        UNLIMITED, assistant_file=file, v1=True, model_base_url=model.url, model_name="small-1"
    )
    async with running_service(settings) as running:
        yield running


@pytest.fixture
async def user(service: RunningService) -> NativeClient:
    client = NativeClient(service.url)
    await client.get_key()
    return client


async def test_a_native_client_runs_a_declared_tool(user: NativeClient, model: ModelServer) -> None:
    answer = await user.send("Where is Oslo?")
    results = {"results": [{"toolCallId": "call_1", "output": {"shown": True}}]}
    continued = await user.post(f"/api/chat/{answer.session_id}/tool-results", results)

    assert "tool-input-available" in kinds(answer.events)
    assert text_of(continued.events) == "There it is."
    assert [body["tools"] for body in model.bodies] == [[DECLARED], [DECLARED]]
    assert model.bodies[1]["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": '{"shown":true}',
    }


async def test_a_client_of_the_ai_sdk_runs_a_declared_tool(
    user: NativeClient, model: ModelServer
) -> None:
    question = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Where is Oslo?"}]}
    first = await user.post("/api/chat", {"id": "my-chat", "messages": [question]})
    start = next(event.document for event in first.events if event.kind == "start")
    call = {"type": "tool-show_map", "toolCallId": "call_1", "input": {"place": "Oslo"}}
    done = {**call, "state": "output-available", "output": "shown"}
    reply = {"id": start["messageId"], "role": "assistant", "parts": [done]}
    second = await user.post("/api/chat", {"id": "my-chat", "messages": [question, reply]})

    assert text_of(second.events) == "There it is."
    assert [body["tools"] for body in model.bodies] == [[DECLARED], [DECLARED]]


async def test_a_caller_of_v1_is_not_offered_tools_that_it_did_not_declare(
    service: RunningService, model: ModelServer
) -> None:
    program = await V1Client.new(service.url)
    await program.ask("Where is Oslo?")

    assert "tools" not in model.bodies[0]
