"""``client.responses.stream`` of the openai package."""

from itertools import pairwise

from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent

from tests.openai_clients.test_conversations import texts
from tests.openai_clients.test_responses import LOOK

TEXT = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]
TOOLS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.reasoning_summary_part.done",
    "response.output_item.done",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.completed",
]


async def events(client: AsyncOpenAI, prompt: str, **options: object) -> list[ResponseStreamEvent]:
    stream = await client.responses.create(model="any", input=prompt, stream=True, **options)  # type: ignore[call-overload]
    return [event async for event in stream]


def kinds(streamed: list[ResponseStreamEvent]) -> list[str]:
    """Their types; many of one after the other count as one."""
    all_of_them = [event.type for event in streamed]
    return [all_of_them[0], *(after for before, after in pairwise(all_of_them) if after != before)]


def last(streamed: list[ResponseStreamEvent]) -> Response:
    assert streamed[-1].type == "response.completed"
    return streamed[-1].response


async def test_text_streams_in_the_order_the_client_expects(client: AsyncOpenAI) -> None:
    streamed = await events(client, "Hello there?")

    assert kinds(streamed) == TEXT
    assert [event.sequence_number for event in streamed] == [*range(len(streamed))]


async def test_the_streamed_and_the_stored_response_are_the_same(client: AsyncOpenAI) -> None:
    streamed = await events(client, "Hello?", metadata={"topic": "tea"})
    found = await client.responses.retrieve(last(streamed).id)

    assert found == last(streamed)


async def test_an_ended_response_streams_again(client: AsyncOpenAI) -> None:
    streamed = await events(client, "Please look.", tools=[LOOK])
    name = last(streamed).id
    await events(client, "And?", previous_response_id=name)
    again = [event async for event in await client.responses.retrieve(name, stream=True)]
    async with client.responses.stream(response_id=name, starting_after=3) as helper:
        response = await helper.get_final_response()

    assert again[0].type == "response.created"
    assert [event.sequence_number for event in again] == [*range(len(again))]
    assert last(again).output == last(streamed).output
    assert [item["id"] for item in response.to_dict()["output"]] == [  # type: ignore[attr-defined]
        item["id"]
        for item in last(again).to_dict()["output"]  # type: ignore[attr-defined]
    ]


async def test_reasoning_and_tool_calls_stream_as_items_of_their_own(client: AsyncOpenAI) -> None:
    streamed = await events(client, "Please look.", tools=[LOOK])

    assert kinds(streamed) == TOOLS
    done = [event.item for event in streamed if event.type == "response.output_item.done"]
    assert sorted(done, key=lambda item: str(item.id)[-1]) == last(streamed).output


async def test_the_packages_own_helper_assembles_the_response(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create()
    async with client.responses.stream(
        model="any", input="Hello there?", conversation=conversation.id
    ) as stream:
        deltas = [
            event.delta async for event in stream if event.type == "response.output_text.delta"
        ]
        response = await stream.get_final_response()

    assert "".join(deltas) == response.output_text == "Hello there? "
    assert await texts(client, conversation.id) == ["Hello there? ", "Hello there?"]


async def test_a_response_that_is_not_stored_streams_too(client: AsyncOpenAI) -> None:
    streamed = await events(client, "Hello?", store=False)

    assert kinds(streamed) == TEXT
    assert last(streamed).output_text.strip() == "Hello?"


async def test_deltas_are_padded_unless_the_client_opts_out(client: AsyncOpenAI) -> None:
    hidden = await events(client, "Hello?")
    plain = await events(client, "Hello?", stream_options={"include_obfuscation": False})

    padded = [event.type for event in hidden if hasattr(event, "obfuscation")]
    assert padded == ["response.output_text.delta"]
    assert not any(hasattr(event, "obfuscation") for event in plain)
