"""Refusals as the openai package raises them: the right exception, naming the parameter."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.openai_clients.conftest import new_key

BOTH = {"conversation": "conv_" + "0" * 32, "previous_response_id": "resp_" + "0" * 40}
UNSUPPORTED: dict[str, Any] = {
    "background_options": {"priority": "low"},
    "include": ["message.output_text.logprobs"],
    "prompt": {"id": "pmpt_1"},
    "service_tier": "priority",
    "tool_choice": {"type": "web_search"},
    "top_logprobs": 3,
    "truncation": "sometimes",
}
CHAT: dict[str, tuple[Any, str]] = {
    "max_tokens": (100, "max_output_tokens"),
    "max_completion_tokens": (100, "max_output_tokens"),
    "messages": ([{"role": "user", "content": "Hello?"}], "input"),
    "stop": (["."], "no such parameter"),
    "seed": (0, "no such parameter"),
    "n": (2, "no such parameter"),
    "response_format": ({"type": "json_object"}, "text.format"),
    "functions": ([{"name": "look"}], "tools"),
    "function_call": ("auto", "tool_choice"),
    "logprobs": (True, "no such parameter"),
    "logit_bias": ({"1": 1}, "no such parameter"),
    "presence_penalty": (0.5, "no such parameter"),
    "frequency_penalty": (-1, "no such parameter"),
    "reasoning_effort": ("low", "reasoning.effort"),
    "verbosity": ("low", "text.verbosity"),
}
MEMBERS: dict[str, dict[str, Any]] = {
    "reasoning.mode": {"reasoning": {"mode": "pro"}},
    "reasoning.max_tokens": {"reasoning": {"max_tokens": 100}},
    "reasoning.summary": {"reasoning": {"summary": "long"}},
    "reasoning": {"reasoning": {"effort": "low", "made_up": 1}},
    "text.stop": {"text": {"stop": ["."]}},
    "text": {"text": {"verbosity": "low", "made_up": 1}},
    "text.format.json_schema": {
        "text": {
            "format": {
                "type": "json_schema",
                "json_schema": {"name": "n"},
                "name": "n",
                "schema": {"type": "object"},
            }
        }
    },
    "text.format": {"text": {"format": {"type": "text", "made_up": 1}}},
}
DEFAULTS: dict[str, Any] = {
    "frequency_penalty": 0,
    "include": [],
    "logprobs": False,
    "max_output_tokens": None,
    "max_tokens": None,
    "metadata": None,
    "modalities": ["text"],
    "n": 1,
    "presence_penalty": 0.0,
    "reasoning": {"effort": None, "summary": None},
    "response_format": {"type": "text"},
    "safety_identifier": None,
    "seed": None,
    "service_tier": "auto",
    "stop": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "none",
    "tools": [],
    "top_logprobs": 0,
    "truncation": "auto",
    "user": None,
}
INVALID: dict[str, Any] = {
    "conversation": 3,
    "input": 3,
    "instructions": 3,
    "max_output_tokens": 3,
    "metadata": {"a": 1},
    "parallel_tool_calls": "yes",
    "previous_response_id": 3,
    "reasoning": "high",
    "store": "no",
    "temperature": 3,
    "tools": {},
    "top_p": -1,
}
ITEMS: dict[str, Any] = {
    "input[0].role": {"role": "critic", "content": "Rhyme."},
    "input[0].type": {"type": "computer_call", "id": "msg_1"},
    "input[0].content[0].type": {
        "role": "user",
        "content": [{"type": "input_file", "file_url": "https://e.org/a.pdf"}],
    },
    "input[0].content": {"role": "user", "content": []},
    "input[0].call_id": {"type": "function_call_output", "output": "sunny"},
    "input[0].output": {"type": "function_call_output", "call_id": "c", "output": 3},
    "input": {"type": "function_call_output", "call_id": "c", "output": "of no call"},
}


async def refusal(client: AsyncOpenAI, **parameters: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as refused:
        await client.responses.create(**{"model": "any", "input": "Hello?", **parameters})
    return refused.value


@pytest.mark.parametrize("name", UNSUPPORTED)
async def test_an_unsupported_parameter_is_named(client: AsyncOpenAI, name: str) -> None:
    refused = await refusal(client, **{name: UNSUPPORTED[name]})

    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == ("parameter_unsupported", name)
    assert name in refused.message


@pytest.mark.parametrize("name", CHAT)
async def test_a_parameter_of_chat_completions_is_refused_with_its_counterpart(
    client: AsyncOpenAI, name: str
) -> None:
    value, counterpart = CHAT[name]
    refused = await refusal(client, extra_body={name: value})

    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == ("parameter_unsupported", name)
    assert counterpart in refused.message


@pytest.mark.parametrize("name", MEMBERS)
async def test_an_unsupported_member_is_named(client: AsyncOpenAI, name: str) -> None:
    refused = await refusal(client, **MEMBERS[name])

    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == ("parameter_unsupported", name)
    assert "made_up" not in refused.message


async def test_values_that_change_nothing_are_accepted(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="any", input="Hello?", extra_body=DEFAULTS, stream=False
    )

    assert response.status == "completed"


async def test_a_tool_must_not_be_required_where_there_is_none(client: AsyncOpenAI) -> None:
    refused = await refusal(client, tool_choice="required")

    assert (refused.code, refused.param) == ("body_invalid", "tool_choice")


@pytest.mark.parametrize("empty", [{}, {"input": None}, {"input": ""}, {"input": []}])
async def test_an_input_is_required(client: AsyncOpenAI, empty: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="any", extra_body=empty)
    assert (refused.value.code, refused.value.param) == ("body_invalid", "input")


async def test_a_reference_cannot_be_added_to_a_conversation(client: AsyncOpenAI) -> None:
    references: Any = [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}]
    for reference in references:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.conversations.create(items=[reference])

        assert refused.value.code == "parameter_unsupported"
        assert refused.value.param == "items[0].type"


async def test_a_reference_to_an_item_that_does_not_exist_is_named(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="any", input="Hello?")
    later = await client.responses.create(model="any", input="And?", previous_response_id=first.id)
    items: Any = [{"role": "user", "content": "Hi"}, {"id": later.output[0].id}]
    refused = await refusal(client, input=items, previous_response_id=first.id)

    assert (refused.status_code, refused.code) == (404, "message_not_found")
    assert refused.param == "input[1].id"


@pytest.mark.parametrize("name", INVALID)
async def test_an_invalid_parameter_is_named(client: AsyncOpenAI, name: str) -> None:
    refused = await refusal(client, **{name: INVALID[name]})

    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == ("body_invalid", name)


@pytest.mark.parametrize("name", ITEMS)
async def test_an_invalid_item_is_named(client: AsyncOpenAI, name: str) -> None:
    refused = await refusal(client, input=[ITEMS[name]])

    assert isinstance(refused, openai.BadRequestError)
    assert refused.param == name


async def test_only_function_tools_are_supported(client: AsyncOpenAI) -> None:
    assert (await refusal(client, tools=[{"type": "web_search"}])).param == "tools[0].type"


async def test_the_chosen_tool_must_be_one_of_the_tools(client: AsyncOpenAI) -> None:
    choice = {"type": "function", "name": "look"}

    assert (await refusal(client, tool_choice=choice)).param == "tool_choice.name"


async def test_a_conversation_and_a_previous_response_cannot_be_combined(
    client: AsyncOpenAI,
) -> None:
    refused = await refusal(client, **BOTH)

    assert (refused.code, refused.param) == ("body_invalid", "previous_response_id")


@pytest.mark.parametrize("name", ["resp_nobody", BOTH["previous_response_id"]])
async def test_a_response_that_does_not_exist_cannot_be_continued(
    client: AsyncOpenAI, name: str
) -> None:
    refused = await refusal(client, previous_response_id=name)

    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == ("previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize("name", ["conv_nobody", BOTH["conversation"]])
async def test_a_conversation_that_does_not_exist_is_not_found(
    client: AsyncOpenAI, name: str
) -> None:
    assert isinstance(await refusal(client, conversation=name), openai.NotFoundError)


async def test_a_parameter_that_openai_does_not_define_is_ignored(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="any", input="Hello?", extra_body={"made_up": {"a": 1}}
    )

    assert response.status == "completed"


async def test_an_unknown_key_is_refused_with_the_way_to_get_one(
    client: AsyncOpenAI,
) -> None:
    stranger = client.with_options(api_key="sk-free-form")

    with pytest.raises(openai.AuthenticationError) as refused:
        await stranger.models.list()
    assert refused.value.code == "client_key_invalid"
    assert "/api/client-key" in refused.value.message


async def test_the_response_of_another_key_is_not_found(
    client: AsyncOpenAI, service_url: str
) -> None:
    response = await client.responses.create(model="any", input="Hello?")
    stranger = client.with_options(api_key=await new_key(service_url))

    assert (await refusal(stranger, previous_response_id=response.id)).status_code == 400
    with pytest.raises(openai.NotFoundError):
        await stranger.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        await stranger.responses.delete(response.id)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"order": "up"}])
async def test_an_invalid_page_parameter_is_named(
    client: AsyncOpenAI, query: dict[str, Any]
) -> None:
    created = await client.conversations.create()

    with pytest.raises(openai.BadRequestError) as refused:
        await client.conversations.items.list(created.id, **query)
    assert refused.value.param == next(iter(query))


async def test_more_than_twenty_items_are_refused(client: AsyncOpenAI) -> None:
    items: Any = [{"role": "user", "content": "Hello?"}] * 21

    with pytest.raises(openai.BadRequestError) as refused:
        await client.conversations.create(items=items)
    assert refused.value.param == "items"
