"""``client.responses`` of the openai package, whole."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import FunctionToolParam, Response, ResponseInputItemParam
from pydantic import BaseModel

from tests.openai_clients.test_conversations import texts
from tests.support.service import UNLIMITED

LOOK: FunctionToolParam = {
    "type": "function",
    "name": "look",
    "description": "Looks at the sky.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


async def ask(client: AsyncOpenAI, prompt: Any, **options: Any) -> Response:
    response = await client.responses.create(model="any", input=prompt, **options)
    assert isinstance(response, Response)
    return response


def results(response: Response) -> list[ResponseInputItemParam]:
    return [
        {"type": "function_call_output", "call_id": item.call_id, "output": f"{item.name}: sunny"}
        for item in response.output
        if item.type == "function_call"
    ]


async def test_a_question_is_answered(client: AsyncOpenAI) -> None:
    response = await ask(client, "Hello?")

    assert response.output_text.strip() == "Hello?"
    assert (response.status, response.model, response.error) == ("completed", "clerk", None)
    assert response.usage is not None
    assert response.usage.total_tokens == 10


async def test_a_response_is_stored_as_it_was_returned(client: AsyncOpenAI) -> None:
    options = {"instructions": "Rhyme.", "metadata": {"topic": "tea"}, "temperature": 0.5}
    response = await ask(client, "Hello?", **options)
    found = await client.responses.retrieve(response.id)

    assert found == response
    assert (found.instructions, found.metadata) == ("Rhyme.", {"topic": "tea"})
    assert found.output_text.strip() == "[Rhyme.] Hello?"


async def test_a_response_echoes_what_was_used(client: AsyncOpenAI) -> None:
    sky = {"type": "json_schema", "name": "sky", "schema": {"type": "object"}}
    ignored: dict[str, Any] = {
        "max_output_tokens": 1_000_000,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": sky},
        "user": "somebody",
        "safety_identifier": "somebody",
        "prompt_cache_key": "some key",
        "service_tier": "auto",
        "truncation": "disabled",
        "tools": [{"type": "function", "name": "look"}],
        "include": ["reasoning.encrypted_content"],
    }
    response = (await ask(client, "Hello?", **ignored)).to_dict()
    found = (await client.responses.retrieve(str(response["id"]))).to_dict()
    plain = (await ask(client, "Hello?")).to_dict()

    assert (response["temperature"], response["top_p"]) == (1.0, 1.0)
    assert response["max_output_tokens"] == UNLIMITED.model_reply_tokens
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["text"] == {"format": {**sky, "description": None, "strict": False}}
    assert (response["safety_identifier"], "user" in response) == (None, False)
    assert (response["prompt_cache_key"], response["service_tier"]) == ("some key", "default")
    assert (response["truncation"], plain["truncation"]) == ("disabled", "auto")
    tool = {"description": None, "parameters": None, "strict": None}
    assert response["tools"] == [{"type": "function", "name": "look", **tool}]
    assert found == {**response, "tools": []}
    assert plain["max_output_tokens"] is None


async def test_encrypted_reasoning_is_null_where_it_is_included(client: AsyncOpenAI) -> None:
    include: Any = ["reasoning.encrypted_content"]
    first = await ask(client, "Please look.", tools=[LOOK], include=include)
    found = await client.responses.retrieve(first.id, include=include)
    plain = await client.responses.retrieve(first.id)
    listed = await client.responses.input_items.list(first.id, include=include)

    assert first.output[0].to_dict()["encrypted_content"] is None
    assert found.output == first.output
    assert "encrypted_content" not in plain.output[0].to_dict()
    assert [item.type for item in listed.data] == ["message"]


async def test_a_reference_stands_for_a_stored_item(client: AsyncOpenAI) -> None:
    first = await ask(client, "Please look.", tools=[LOOK])
    [asked] = (await client.responses.input_items.list(first.id)).data
    references = [{"type": "item_reference", "id": str(item.id)} for item in [asked, *first.output]]
    second = await ask(client, [*references, *results(first)], previous_response_id=first.id)

    assert second.output_text.strip() == "Found look: sunny and look: sunny"
    listed = (await client.responses.input_items.list(second.id, order="asc")).data
    assert [item.type for item in listed] == [
        "message", "reasoning", *["function_call"] * 2, *["function_call_output"] * 2
    ]  # fmt: skip


async def test_the_newest_response_is_continued(client: AsyncOpenAI) -> None:
    first = await ask(client, "One", instructions="Rhyme.")
    second = await ask(client, "Two", previous_response_id=first.id)

    assert second.output_text.strip() == "One / Two"
    assert second.previous_response_id == first.id
    assert second.instructions is None


async def test_continuing_an_older_response_begins_a_branch(
    client: AsyncOpenAI,
) -> None:
    first = await ask(client, "One")
    second = await ask(client, "Two", previous_response_id=first.id)
    branch = await ask(client, "Three", previous_response_id=first.id)
    third = await ask(client, "Four", previous_response_id=second.id)

    assert branch.output_text.strip() == "One / Three"
    assert third.output_text.strip() == "One / Two / Four"
    again = await ask(client, "Five", previous_response_id=branch.id)
    assert again.output_text.strip() == "One / Three / Five"


async def test_input_items_include_all_earlier_turns(client: AsyncOpenAI) -> None:
    first = await ask(client, "One")
    second = await ask(client, "Two", previous_response_id=first.id)
    listed = client.responses.input_items.list(second.id, order="asc", limit=2)

    found = [item.to_dict() async for item in listed]
    assert [(item["role"], item["content"][0]["text"].strip()) for item in found] == [  # type: ignore[index]
        ("user", "One"), ("assistant", "One"), ("user", "Two")
    ]  # fmt: skip


async def test_in_a_conversation_input_and_output_become_items(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create()
    response = await ask(client, "Hello?", conversation=conversation.id)

    assert response.conversation is not None
    assert response.conversation.id == conversation.id
    listed = (await client.conversations.items.list(conversation.id)).data
    assert listed[0].id == response.output[0].id
    assert await texts(client, conversation.id, order="asc") == ["Hello?", "Hello? "]


async def test_tools_are_called_and_their_results_are_used(client: AsyncOpenAI) -> None:
    first = await ask(client, "Please look.", tools=[LOOK])
    second = await ask(client, results(first), previous_response_id=first.id, tools=[LOOK])

    assert [item.type for item in first.output] == ["reasoning", "function_call", "function_call"]
    assert first.tools[0].to_dict() == LOOK
    assert second.output_text.strip() == "Found look: sunny and look: sunny"
    assert (await client.responses.retrieve(first.id)).output == first.output


async def test_tool_results_are_accepted_in_a_conversation_too(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create()
    first = await ask(client, "Please look.", tools=[LOOK], conversation=conversation.id)
    second = await ask(client, results(first), conversation=conversation.id)

    assert second.output_text.strip().startswith("Found look")
    kinds = [item.type async for item in client.conversations.items.list(conversation.id)]
    assert kinds[::-1] == [
        "message",
        "reasoning",
        *["function_call"] * 2,
        *["function_call_output"] * 2,
        "message",
    ]


async def test_a_client_that_stores_the_history_itself_sends_all_of_it(client: AsyncOpenAI) -> None:
    first = await ask(client, "Please look.", tools=[LOOK], store=False)
    sent: list[Any] = [{"role": "user", "content": "Please look."}, *first.output, *results(first)]
    second = await ask(client, sent, tools=[LOOK], store=False)

    assert second.output_text.strip().startswith("Found look")


async def test_a_reply_that_is_longer_than_a_persons_message_can_be_sent_again(
    client: AsyncOpenAI,
) -> None:
    questions = [{"role": "user", "content": "a" * 6_000}, {"role": "user", "content": "b" * 6_000}]
    first = await ask(client, questions, store=False)
    second = await ask(client, [*questions, *first.output, {"role": "user", "content": "And?"}])

    assert len(first.output_text) > 12_000
    assert second.output_text.strip().endswith("/ And?")
    listed = client.responses.input_items.list(second.id, order="asc")
    assert [item.type async for item in listed] == ["message"] * 4


async def test_a_system_prompt_as_a_message_is_heeded(client: AsyncOpenAI) -> None:
    sent = [{"role": "system", "content": "Rhyme."}, {"role": "user", "content": "Hello?"}]
    first = await ask(client, sent)
    second = await ask(client, "And?", previous_response_id=first.id)

    assert first.output_text.strip() == "[Rhyme.] Hello?"
    assert second.output_text.strip() == "Hello? / And?"


async def test_a_response_that_is_not_stored_is_not_found(client: AsyncOpenAI) -> None:
    response = await ask(client, "Hello?", store=False)

    assert response.output_text.strip() == "Hello?"
    assert response.store is False  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError) as refused:
        await ask(client, "And?", previous_response_id=response.id)
    assert refused.value.code == "previous_response_not_found"


async def test_a_response_that_is_not_stored_can_continue_a_stored_one(client: AsyncOpenAI) -> None:
    first = await ask(client, "One")
    aside = await ask(client, "Aside", previous_response_id=first.id, store=False)
    second = await ask(client, "Two", previous_response_id=first.id)

    assert aside.output_text.strip() == "One / Aside"
    assert second.output_text.strip() == "One / Two"


async def test_a_deleted_response_is_forgotten_with_its_input(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(metadata={"topic": "tea"})
    first = await ask(client, "One", conversation=conversation.id)
    second = await ask(client, "Two", conversation=conversation.id)
    await client.responses.delete(first.id)

    assert await texts(client, conversation.id, order="asc") == ["Two", "One / Two "]
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id)
    assert (await client.responses.retrieve(second.id)).id == second.id


async def test_a_text_format_is_accepted(client: AsyncOpenAI) -> None:
    class Sky(BaseModel):
        city: str

    with pytest.raises(
        ValueError, match="Sky"
    ):  # The model ignores the format, but the parameter was accepted.
        await client.responses.parse(model="any", input="Hello?", text_format=Sky)


async def test_the_model_is_listed(client: AsyncOpenAI) -> None:
    [model] = (await client.models.list()).data

    assert model.id == "clerk"
    assert await client.models.retrieve("clerk") == model
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-7/large")
