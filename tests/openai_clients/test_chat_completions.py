"""``client.chat.completions`` of the openai package."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from ports.language_model import ModelBusy, ModelUnavailable
from tests.openai_clients.conftest import new_key
from tests.openai_clients.test_conversations import texts
from tests.support.fake_model import InstantModel
from tests.support.service import UNLIMITED, running_service

LOOK: Any = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks at the sky.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there?"}]


async def complete(client: AsyncOpenAI, messages: Any, **options: Any) -> ChatCompletion:
    completion = await client.chat.completions.create(model="any", messages=messages, **options)
    assert isinstance(completion, ChatCompletion)
    return completion


async def chunks(client: AsyncOpenAI, messages: Any, **options: Any) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(
        model="any", messages=messages, stream=True, **options
    )
    return [chunk async for chunk in stream]


def text(completion: ChatCompletion) -> str:
    return (completion.choices[0].message.content or "").strip()


def streamed_text(streamed: list[ChatCompletionChunk]) -> str:
    deltas = [choice.delta.content or "" for chunk in streamed for choice in chunk.choices]
    return "".join(deltas).strip()


def with_results(completion: ChatCompletion, asked: Any) -> list[Any]:
    """The messages that continue a completion which called tools."""
    message = completion.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "look: sunny"}
        for call in message.tool_calls or ()
    ]
    return [*asked, message.model_dump(exclude_unset=True), *results]


async def test_a_message_is_answered(client: AsyncOpenAI) -> None:
    completion = await complete(client, HELLO)

    [choice] = completion.choices
    assert text(completion) == "Hello there?"
    assert (choice.finish_reason, choice.index, completion.model) == ("stop", 0, "clerk")
    assert (choice.message.role, choice.message.refusal) == ("assistant", None)
    assert choice.message.tool_calls is None
    assert completion.id.startswith("chatcmpl-")
    assert completion.usage is not None
    assert completion.usage.total_tokens == 10


async def test_every_message_counts(client: AsyncOpenAI) -> None:
    messages = [
        {"role": "system", "content": "Rhyme."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "One", "name": "ann"},
        {"role": "assistant", "content": [{"type": "text", "text": "Uno"}]},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "user", "content": [{"type": "text", "text": "Two"}]},
    ]

    assert text(await complete(client, messages)) == "[Rhyme.\n\nBe brief.] One / Two"


async def test_nothing_is_kept(client: AsyncOpenAI) -> None:
    completion = await complete(client, HELLO)
    named = completion.id.replace("chatcmpl-", "resp_")

    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(named)
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(named.replace("resp_", "conv_")[:37])


async def test_a_stream_is_the_completion_in_parts(client: AsyncOpenAI) -> None:
    streamed = await chunks(client, HELLO)

    assert streamed[0].choices[0].delta.role == "assistant"
    assert streamed_text(streamed) == "Hello there?"
    assert [chunk.choices[0].finish_reason for chunk in streamed[-2:]] == [None, "stop"]
    assert len({chunk.id for chunk in streamed}) == 1
    assert not any(chunk.usage for chunk in streamed)


async def test_a_stream_ends_with_the_usage_if_it_is_included(client: AsyncOpenAI) -> None:
    streamed = await chunks(client, HELLO, stream_options={"include_usage": True})

    *before, last = streamed
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 10
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in before)


async def test_deltas_are_padded_unless_the_client_opts_out(client: AsyncOpenAI) -> None:
    hidden = await chunks(client, HELLO)
    plain = await chunks(client, HELLO, stream_options={"include_obfuscation": False})

    padded = ["obfuscation" in chunk.to_dict() for chunk in hidden]
    assert padded == [False, *[True] * (len(hidden) - 2), False]
    assert not any("obfuscation" in chunk.to_dict() for chunk in plain)


async def test_tools_are_called_and_their_results_answered(client: AsyncOpenAI) -> None:
    asked = [{"role": "user", "content": "Please look."}]
    calling = await complete(client, asked, tools=[LOOK])
    answer = await complete(client, with_results(calling, asked), tools=[LOOK])

    [choice] = calling.choices
    calls = choice.message.tool_calls or []
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert [(call.type, call.function.name) for call in calls if call.type == "function"] == [
        ("function", "look")
    ] * 2
    assert choice.message.model_extra == {"reasoning_content": "Let me see."}
    assert text(answer) == "Found look: sunny and look: sunny"


async def test_the_packages_own_helper_assembles_the_calls(client: AsyncOpenAI) -> None:
    asked: Any = [{"role": "user", "content": "Please look."}]
    async with client.chat.completions.stream(model="any", messages=asked, tools=[LOOK]) as stream:
        _ = [event async for event in stream]
        completion = await stream.get_final_completion()

    calls = completion.choices[0].message.tool_calls or []
    arguments = [call.function.arguments for call in calls]
    assert arguments == ['{"city":"Rome"}', '{"city":"Oslo"}']
    assert completion.choices[0].finish_reason == "tool_calls"


async def test_the_packages_own_helper_assembles_the_text(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="any", messages=HELLO) as stream:
        completion = await stream.get_final_completion()

    assert (completion.choices[0].message.content or "").strip() == "Hello there?"


async def test_a_reply_is_parsed_into_a_type(client: AsyncOpenAI) -> None:
    class City(BaseModel):
        name: str

    messages: Any = [{"role": "user", "content": '{"name":"Rome"}'}]
    completion = await client.chat.completions.parse(
        model="any", messages=messages, response_format=City
    )

    assert completion.choices[0].message.parsed == City(name="Rome")


async def test_every_supported_parameter_is_taken(client: AsyncOpenAI) -> None:
    completion = await complete(
        client,
        HELLO,
        frequency_penalty=0.5,
        logprobs=False,
        max_completion_tokens=90,
        max_tokens=100,
        metadata={"topic": "tea"},
        modalities=["text"],
        n=1,
        parallel_tool_calls=False,
        presence_penalty=0,
        prompt_cache_key="key",
        reasoning_effort="low",
        response_format={"type": "json_object"},
        safety_identifier="somebody",
        seed=7,
        service_tier="auto",
        stop=["END"],
        store=False,
        temperature=1,
        tool_choice="auto",
        tools=[LOOK],
        top_p=0.5,
        user="somebody",
        verbosity="low",
    )

    assert text(completion) == "Hello there?"
    assert completion.service_tier == "default"


@pytest.mark.parametrize("in_header", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_in_a_conversation_its_own_history_is_used_and_the_reply_stored(
    client: AsyncOpenAI, *, in_header: bool, stream: bool
) -> None:
    items: Any = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Uno"}]
    conversation = (await client.conversations.create(items=items)).id
    chosen: dict[str, Any] = (
        {"extra_headers": {"Privity-Conversation": conversation}}
        if in_header
        else {"extra_body": {"conversation": conversation}}
    )
    messages = [
        {"role": "system", "content": "Rhyme."},
        {"role": "user", "content": "Something else"},
        {"role": "assistant", "content": "Whatever"},
        {"role": "user", "content": "Two"},
    ]
    if stream:
        reply = streamed_text(await chunks(client, messages, **chosen))
    else:
        reply = text(await complete(client, messages, **chosen))

    assert reply == "[Rhyme.] One / Two"
    assert await texts(client, conversation) == ["[Rhyme.] One / Two ", "Two", "Uno", "One"]


async def test_in_a_conversation_the_stored_calls_are_answered(client: AsyncOpenAI) -> None:
    conversation = (await client.conversations.create()).id
    chosen: Any = {"extra_body": {"conversation": conversation}, "tools": [LOOK]}
    asked = [{"role": "user", "content": "Please look."}]
    calling = await complete(client, asked, **chosen)
    answer = await complete(client, with_results(calling, asked), **chosen)

    assert text(answer) == "Found look: sunny and look: sunny"
    kinds = [item.type async for item in client.conversations.items.list(conversation)]
    assert kinds == [
        "message",
        *["function_call_output"] * 2,
        *["function_call"] * 2,
        "reasoning",
        "message",
    ]


async def test_the_conversation_is_named_in_the_response(client: AsyncOpenAI) -> None:
    conversation = (await client.conversations.create()).id
    create = client.chat.completions.with_raw_response.create
    inside = await create(
        model="any", messages=HELLO, extra_body={"conversation": {"id": conversation}}
    )
    outside = await create(model="any", messages=HELLO)
    completion = inside.parse()

    assert inside.headers["privity-conversation"] == conversation
    assert "privity-conversation" not in outside.headers
    stored = await client.responses.retrieve(completion.id.replace("chatcmpl-", "resp_"))
    assert stored.output_text == completion.choices[0].message.content


async def test_a_failure_within_a_stream_is_raised() -> None:
    model = InstantModel("Hel", error=ModelUnavailable())
    async with running_service(UNLIMITED, model=model) as service:
        client = AsyncOpenAI(base_url=f"{service.url}/v1", api_key=await new_key(service.url))
        with pytest.raises(openai.APIError) as failed:
            await chunks(client, HELLO)
        await client.close()

    assert failed.value.code == "model_unavailable"
    assert failed.value.message == "The language model is not available."


async def test_a_failure_before_a_stream_has_its_own_exception() -> None:
    model = InstantModel(error=ModelBusy())
    async with running_service(UNLIMITED, model=model) as service:
        client = AsyncOpenAI(
            base_url=f"{service.url}/v1", api_key=await new_key(service.url), max_retries=0
        )
        with pytest.raises(openai.InternalServerError) as failed:
            await chunks(client, HELLO)
        await client.close()

    assert failed.value.code == "model_busy"
