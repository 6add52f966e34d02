"""Sources, and the tools that the service runs, with the openai package."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import openai
import punq
import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.conversations import ConversationItem
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_output_item import McpCall
from pydantic import TypeAdapter

from domain.model.message import Role
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.preparation import HookPolicy, Preparation, Question
from domain.model.prompt import Passage, Prompt
from ports.tool_servers import ToolServers
from ports.turn_hook import HookUnavailable, TurnHook
from tests.openai_clients.conftest import new_key
from tests.openai_clients.test_responses import LOOK
from tests.support.scripted_hook import ComputingHook
from tests.support.service import UNLIMITED, running_service
from tests.support.tool_servers import ScriptedToolServers, SteppingModel, a_call, a_server_tool

HOURS = Passage(title="Opening hours", text="9 to 5", url="https://example.org/hours")
NOTE = Passage(title="A note", text="Closed on Sundays.")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ITEM: TypeAdapter[Any] = TypeAdapter(ConversationItem)


def prepared(question: Question) -> Preparation:
    """Passages for every question, and a failure for one of them."""
    if question.message == "Fail":
        raise HookUnavailable
    return Preparation(passages=(HOURS, NOTE))


class LookingModel(SteppingModel):
    """Searches once for each message of the user, and then cites what the hook gave it."""

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        may_call = prompt.messages[-1].role is Role.USER and prompt.options.tool_choice != "none"
        offered = {tool.name for tool in prompt.options.tools}
        names = [name for name in ("search", "look") if name in offered]
        call: list[ModelPiece] = [
            TextPiece("Let me look."),
            *(a_call(f"call_{n}", name=n) for n in names),
        ]
        answer: list[ModelPiece] = [TextPiece("At nine [1].")]
        self._steps = (call if may_call and names else answer,)
        self.prompts.clear()
        async for piece in super().reply(prompt):
            yield piece


@pytest.fixture
async def client() -> AsyncIterator[AsyncOpenAI]:
    """A client of a service with a hook and a tool server."""
    servers = ScriptedToolServers(a_server_tool())

    def replace(container: punq.Container) -> None:
        container.register(TurnHook, instance=ComputingHook(prepared))
        container.register(HookPolicy, instance=HookPolicy(enabled=True))
        container.register(ToolServers, instance=servers)

    async with running_service(UNLIMITED, model=LookingModel(), replacing=replace) as service:
        key = await new_key(service.url)
        async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as client:
            yield client


def checked(response: Response) -> Response:
    """The response, after the package has checked all that it contains."""
    Response.model_validate(response.model_dump())
    return response


def documents(response: Response) -> list[dict[str, Any]]:
    """The items of the output."""
    found: Any = response.to_dict()["output"]
    return list(found)


async def test_a_response_has_sources_and_the_calls_of_the_service(client: AsyncOpenAI) -> None:
    response = checked(await client.responses.create(model="any", input="When?"))
    text, call, answer = documents(response)

    assert (text["type"], answer["type"]) == ("message", "message")
    assert isinstance(response.output[1], McpCall)
    assert (call["server_label"], call["name"], call["status"]) == (
        "library",
        "search",
        "completed",
    )
    assert call["output"] == 'found {"query":"cats"}'
    [content] = answer["content"]
    [citation] = content["annotations"]
    assert (citation["url"], citation["title"]) == (HOURS.url, HOURS.title)
    assert content["text"][citation["start_index"] : citation["end_index"]] == "[1]"
    assert response.usage is not None
    assert response.usage.output_tokens == 6


async def test_everything_that_reads_a_response_shows_the_same(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="any", input="When?", stream=True)
    events = [event async for event in stream]
    for event in events:
        EVENT.validate_python(event.model_dump())
    streamed = events[-1].response  # type: ignore[union-attr]
    stored = await client.responses.retrieve(streamed.id)
    again = [event async for event in await client.responses.retrieve(streamed.id, stream=True)]
    conversation = "conv_" + streamed.id.removeprefix("resp_")[:32]
    listed = (await client.conversations.items.list(conversation, order="asc")).data

    assert stored.output == streamed.output
    assert again[-1].response.output == streamed.output  # type: ignore[union-attr]
    assert [event.sequence_number for event in again] == [*range(len(again))]
    assert [event.type for event in again] == [event.type for event in events]
    assert [item.to_dict() for item in listed[1:]] == [item.to_dict() for item in stored.output]
    for item in listed:
        ITEM.validate_python(item.model_dump())


async def test_older_turns_are_streamed_again_from_what_is_stored(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="any", input="When?")
    await client.responses.create(model="any", input="And?", previous_response_id=first.id)
    again = [event async for event in await client.responses.retrieve(first.id, stream=True)]
    branch = await client.responses.create(model="any", input="Or?", previous_response_id=first.id)
    before = (await client.responses.input_items.list(branch.id, order="asc")).data

    assert again[-1].response.output == first.output  # type: ignore[union-attr]
    assert [item.type for item in before].count("mcp_call") == 1


async def test_an_unstored_response_has_the_same_items(client: AsyncOpenAI) -> None:
    response = checked(await client.responses.create(model="any", input="When?", store=False))

    assert [item.type for item in response.output] == ["message", "mcp_call", "message"]


async def test_the_history_is_accepted_again(client: AsyncOpenAI) -> None:
    question: Any = {"role": "user", "content": "When?"}
    first = await client.responses.create(model="any", input=[question], prompt_cache_key="a")
    sent = [question, *(item.to_dict() for item in first.output), question]
    second = await client.responses.create(model="any", input=sent, prompt_cache_key="a")
    third = await client.responses.create(model="any", input=sent, store=False)

    assert second.id.removeprefix("resp_")[:32] == first.id.removeprefix("resp_")[:32]
    assert third.status == "completed"


async def test_references_to_the_calls_of_the_service_are_found(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="any", input="When?")
    references = [{"type": "item_reference", "id": item.id} for item in first.output]
    sent: Any = [
        {"role": "user", "content": "When?"},
        *references,
        {"role": "user", "content": "And?"},
    ]
    second = await client.responses.create(model="any", input=sent)

    assert second.id.removeprefix("resp_")[:32] == first.id.removeprefix("resp_")[:32]


async def test_a_call_of_the_service_can_be_deleted(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="any", input="When?")
    conversation = "conv_" + first.id.removeprefix("resp_")[:32]
    call = first.output[1]
    await client.conversations.items.delete(str(call.id), conversation_id=conversation)
    stored = await client.responses.retrieve(first.id)
    again = [event async for event in await client.responses.retrieve(first.id, stream=True)]

    assert [item.type for item in stored.output] == ["message", "message"]
    assert [item.id for item in again[-1].response.output] == [  # type: ignore[union-attr]
        item.id for item in stored.output
    ]
    with pytest.raises(openai.NotFoundError):
        await client.conversations.items.retrieve(str(call.id), conversation_id=conversation)


async def test_calls_of_both_kinds_leave_the_functions_to_the_client(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="any", input="When?", tools=[LOOK])
    assert [item.type for item in first.output] == ["message", "mcp_call", "function_call"]
    call_id = first.output[2].call_id  # type: ignore[union-attr]
    output = {"type": "function_call_output", "call_id": call_id, "output": "rain"}
    second = await client.responses.create(
        model="any",
        input=[output],  # type: ignore[list-item]
        previous_response_id=first.id,
        tools=[LOOK],
    )

    assert second.output_text == "At nine [1]."
    assert [tool.name for tool in second.tools] == ["look"]  # type: ignore[union-attr]
    assert (await client.responses.retrieve(first.id)).output == first.output


async def test_the_functions_of_the_caller_win(client: AsyncOpenAI) -> None:
    search = {**LOOK, "name": "search"}
    response = await client.responses.create(model="any", input="When?", tools=[search])  # type: ignore[list-item]

    assert [item.type for item in response.output] == ["message", "function_call"]


async def test_the_caller_can_forbid_the_tools_of_the_service(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="any", input="When?", max_tool_calls=0)
    [citing] = response.output

    assert response.max_tool_calls == 0
    assert citing.type == "message"


async def test_a_completion_has_the_same_sources(client: AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "When?"}]
    whole = await client.chat.completions.create(model="any", messages=messages)
    message = whole.choices[0].message
    async with client.chat.completions.stream(model="any", messages=messages) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()

    assert message.content == "Let me look.\n\nAt nine [1]."
    assert message.annotations is not None
    [annotation] = message.annotations
    assert annotation.url_citation.url == HOURS.url
    assert message.tool_calls is None
    assert final.choices[0].message.content == message.content
    assert final.choices[0].message.annotations == message.annotations


async def test_a_hook_that_fails_is_an_error_of_openais_form(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as refused:
        await client.responses.create(model="any", input="Fail")
    with pytest.raises(openai.InternalServerError) as unstored:
        await client.responses.create(model="any", input="Fail", store=False)
    messages: Any = [{"role": "user", "content": "Fail"}]
    with pytest.raises(openai.InternalServerError) as completion:
        await client.chat.completions.create(model="any", messages=messages, stream=True)

    assert {one.value.code for one in (refused, unstored, completion)} == {"hook_unavailable"}
    stream = await client.responses.create(model="any", input="Fail", stream=True)
    last = [event async for event in stream][-1]
    assert last.type == "response.failed"
    assert "Fail" not in json.dumps(last.response.error.to_dict())  # type: ignore[union-attr]


async def test_the_agents_sdk_goes_on_with_the_whole_history(client: AsyncOpenAI) -> None:
    set_tracing_disabled(True)
    for kind in (OpenAIResponsesModel, OpenAIChatCompletionsModel):
        agent = Agent(name="clerk", model=kind("any", client))
        first = await Runner.run(agent, "When?")
        again: Any = [*first.to_input_list(), {"role": "user", "content": "And?"}]
        second = Runner.run_streamed(agent, again)
        async for _ in second.stream_events():
            pass

        assert str(first.final_output).endswith("At nine [1].")
        assert str(second.final_output).endswith("At nine [1].")
