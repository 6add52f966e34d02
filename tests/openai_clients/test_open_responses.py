"""The requests of the Open Responses compliance suite; answers are checked against its schema.

docs/openai_clients.md says how to run the suite itself.
"""

from typing import Any

import pytest
from attrs import evolve
from openresponses_types import Message
from pydantic import ValidationError

from tests.support.builders import an_image
from tests.support.event_stream import events_in
from tests.support.http_client import Answer
from tests.support.open_responses import validated_event, validated_response
from tests.support.service import UNLIMITED, running_service_in_thread
from tests.support.tool_model import ToolModel
from tests.support.v1_client import V1Client

LOOK = {
    "type": "function",
    "name": "look",
    "description": "Look at the weather of a place.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The name of the city."}},
        "required": ["city"],
    },
}


def message(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


TEXT = [message("user", "Greet me in three words.")]
SYSTEM = [message("system", "Answer like a sailor."), message("user", "Greet me.")]
TURNS = [
    message("user", "I am called Ada."),
    message("assistant", "Good morning, Ada. What can I do for you?"),
    message("user", "What am I called?"),
]
PHASES = [
    {**message("assistant", "I have to count them first."), "phase": "commentary"},
    {**message("assistant", "There are seven."), "phase": "final_answer"},
    message("user", "Repeat the number."),
]
TOOLS = [message("user", "Please look at the weather in Rome.")]
MESSAGES = {"text": TEXT, "system": SYSTEM, "turns": TURNS, "phases": PHASES}
CALLS = ["reasoning", "function_call", "function_call"]


@pytest.fixture
async def client(service_url: str) -> V1Client:
    return await V1Client.new(service_url)


async def ask(client: V1Client, input_items: list[Any], *, stream: bool, **members: Any) -> Answer:
    body = {"model": "some-model", "input": input_items, **members, "stream": stream}
    answer = await client.post("/v1/responses", body)
    assert answer.status == 200, answer.body
    return answer


async def response_to(client: V1Client, input_items: list[Any], **members: Any) -> Any:
    """The response, which satisfies the schema."""
    answer = await ask(client, input_items, stream=False, **members)
    return validated_response(answer.document)


async def events_of(client: V1Client, input_items: list[Any], **members: Any) -> list[Any]:
    """The events, each of which satisfies the schema."""
    answer = await ask(client, input_items, stream=True, **members)
    events = [event for event in events_in(answer.body) if event.data not in ("", "[DONE]")]
    return [validated_event(event.document) for event in events]


@pytest.mark.parametrize("name", MESSAGES)
async def test_messages_are_answered(client: V1Client, name: str) -> None:
    response = await response_to(client, MESSAGES[name])

    assert response.status == "completed"
    assert [item.type for item in response.output] == ["message"]


async def test_a_stream_of_text_satisfies_the_schema(client: V1Client) -> None:
    events = await events_of(client, TEXT)

    assert "response.output_text.delta" in [event.type for event in events]
    assert events[-1].type == "response.completed"
    assert events[-1].response.status == "completed"


async def test_a_tool_is_called(client: V1Client) -> None:
    response = await response_to(client, TOOLS, tools=[LOOK])

    assert [item.type for item in response.output] == CALLS


async def test_a_stream_of_tool_calls_satisfies_the_schema(client: V1Client) -> None:
    events = await events_of(client, TOOLS, tools=[LOOK])

    items = [(event.type, event.item.type) for event in events if hasattr(event, "item")]
    assert [item for kind, item in items if kind == "response.output_item.added"] == CALLS
    assert [item for kind, item in items if kind == "response.output_item.done"] == CALLS
    kinds = {event.type for event in events}
    assert {f"response.function_call_arguments.{kind}" for kind in ("delta", "done")} <= kinds
    assert events[-1].response.status == "completed"


async def test_an_image_is_answered_where_the_model_takes_images() -> None:
    image = {"type": "input_image", "image_url": an_image().data_url}
    content = [{"type": "input_text", "text": "What is this?"}, image]
    with running_service_in_thread(evolve(UNLIMITED, model_images=True), ToolModel()) as url:
        client = await V1Client.new(url)
        response = await response_to(client, [message("user", content)])
        listed = await client.get(f"/v1/responses/{response.id}/input_items")

    assert response.status == "completed"
    assert Message.model_validate(listed.document["data"][0]).content[1].type == "input_image"


async def test_the_schema_is_checked(client: V1Client) -> None:
    document = (await ask(client, TEXT, stream=False)).document
    without = {name: value for name, value in document.items() if name != "truncation"}
    no_text = {**document, "text": {**document["text"], "verbosity": None}}

    with pytest.raises(ValidationError, match="truncation"):
        validated_response(without)
    with pytest.raises(ValueError, match="null instead of no value: verbosity"):
        validated_response(no_text)
    with pytest.raises(ValidationError, match="item_id"):
        validated_event({"type": "response.output_text.done", "sequence_number": 1})
