"""Refused chat completions as the openai package raises them: each names what is refused."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.openai_clients.test_chat_completions import LOOK

USER: dict[str, Any] = {"role": "user", "content": "Hello?"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
UNSUPPORTED: dict[str, Any] = {
    "audio": {"format": "wav", "voice": "ash"},
    "function_call": "auto",
    "functions": [{"name": "look"}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "moderation": {"model": "m"},
    "n": 2,
    "prediction": {"type": "content", "content": "Hello"},
    "prompt_cache_options": {"mode": "explicit"},
    "prompt_cache_retention": "24h",
    "service_tier": "flex",
    "store": True,
    "top_logprobs": 3,
    "web_search_options": {},
}
INVALID: dict[str, Any] = {
    "frequency_penalty": 3,
    "max_completion_tokens": 0,
    "max_tokens": -1,
    "metadata": {"a": 1},
    "n": "one",
    "presence_penalty": "high",
    "seed": 0.5,
    "stop": ["a"] * 5,
    "temperature": 3,
    "tool_choice": "required",
    "tools": {},
    "top_p": -1,
}
MESSAGES: dict[str, list[Any]] = {
    "messages": [],
    "messages ": [{"role": "system", "content": "Rhyme."}],
    "messages[0].role": [{"role": "function", "name": "look", "content": "sunny"}],
    "messages[0].content": [{"role": "user", "content": " "}],
    "messages[1].content": [USER, {"role": "user", "content": "x" * 100_001}],
    "messages[0].content[0]": [{"role": "user", "content": [IMAGE]}],
    "messages[0].content[0].type": [{"role": "user", "content": [AUDIO]}],
    "messages[0].function_call": [
        {"role": "assistant", "content": None, "function_call": CALL["function"]},
        USER,
    ],
    "messages[0].audio": [{"role": "assistant", "content": None, "audio": {"id": "a"}}, USER],
    "messages[0].tool_calls[0].type": [
        {"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]},
        USER,
    ],
    "messages[0].tool_call_id": [{"role": "tool", "content": "sunny"}],
    "messages  ": [USER, {"role": "tool", "tool_call_id": "c", "content": "of no call"}],
}
RESPONSES_NAMES = {"max_output_tokens": 20, "instructions": "Rhyme.", "text": {"verbosity": "low"}}


async def refusal(client: AsyncOpenAI, **parameters: Any) -> openai.APIStatusError:
    body = {"model": "any", "messages": [USER], **parameters}
    with pytest.raises(openai.APIStatusError) as refused:
        await client.post("/chat/completions", body=body, cast_to=object)
    return refused.value


@pytest.mark.parametrize("name", UNSUPPORTED)
async def test_an_unsupported_parameter_is_named(client: AsyncOpenAI, name: str) -> None:
    refused = await refusal(client, **{name: UNSUPPORTED[name]}, stream=True)

    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == ("parameter_unsupported", name)


@pytest.mark.parametrize("name", INVALID)
async def test_an_invalid_parameter_is_named(client: AsyncOpenAI, name: str) -> None:
    refused = await refusal(client, **{name: INVALID[name]})

    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == ("body_invalid", name)


@pytest.mark.parametrize("name", MESSAGES)
async def test_an_invalid_message_is_named(client: AsyncOpenAI, name: str) -> None:
    refused = await refusal(client, messages=MESSAGES[name])

    assert refused.status_code in (400, 413)
    assert refused.param == name.strip()


@pytest.mark.parametrize("name", RESPONSES_NAMES)
async def test_a_parameter_of_responses_is_refused_with_its_name_here(
    client: AsyncOpenAI, name: str
) -> None:
    refused = await refusal(client, **{name: RESPONSES_NAMES[name]})

    assert (refused.code, refused.param) == ("parameter_unsupported", name)
    assert "use '" in refused.message


async def test_only_functions_can_be_chosen(client: AsyncOpenAI) -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    refused = await refusal(client, tools=[LOOK], tool_choice=choice)
    unknown = {"type": "function", "function": {"name": "listen"}}

    assert (refused.code, refused.param) == ("parameter_unsupported", "tool_choice.type")
    refused = await refusal(client, tools=[LOOK], tool_choice=unknown)
    assert (refused.code, refused.param) == ("body_invalid", "tool_choice.function.name")


async def test_a_parameter_that_openai_does_not_define_is_ignored(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": "Hello?"}],
        extra_body={"top_k": 3, "logprobs": False, "functions": [], "function_call": None},
    )

    assert completion.choices[0].finish_reason == "stop"


async def test_two_different_conversations_are_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "Hello?"}],
            extra_headers={"Privity-Conversation": "conv_" + "0" * 32},
            extra_body={"conversation": "conv_" + "1" * 32},
        )
    assert refused.value.param == "conversation"


@pytest.mark.parametrize("name", ["conv_nobody", "conv_" + "0" * 32])
async def test_a_conversation_that_does_not_exist_is_not_found(
    client: AsyncOpenAI, name: str
) -> None:
    assert isinstance(await refusal(client, conversation=name), openai.NotFoundError)


async def test_in_a_conversation_everything_is_stored(client: AsyncOpenAI) -> None:
    conversation = (await client.conversations.create()).id
    refused = await refusal(client, conversation=conversation, store=False)

    assert (refused.code, refused.param) == ("parameter_unsupported", "store")


@pytest.mark.parametrize(
    "last",
    [
        {"role": "assistant", "content": "Hi!"},
        {"role": "tool", "tool_call_id": "c", "content": "of no call"},
    ],
)
async def test_in_a_conversation_something_must_follow_the_last_reply(
    client: AsyncOpenAI, last: Any
) -> None:
    conversation = (await client.conversations.create()).id
    refused = await refusal(client, conversation=conversation, messages=[USER, last])

    assert isinstance(refused, openai.BadRequestError)
    assert refused.param == "messages"


async def test_an_image_in_the_history_of_a_conversation_does_not_matter(
    client: AsyncOpenAI,
) -> None:
    conversation = (await client.conversations.create()).id
    messages: Any = [
        {"role": "user", "content": [IMAGE]},
        {"role": "assistant", "content": "Hi!"},
        USER,
    ]
    completion = await client.chat.completions.create(
        model="any", messages=messages, extra_body={"conversation": conversation}
    )

    assert completion.choices[0].message.content == "Hello? "
