"""References to stored items, as ``@ai-sdk/openai`` sends them: without naming a conversation."""

from typing import Any

import pytest

from entrypoints.http.openai.item_references import MAX_CONVERSATIONS, MAX_REFERENCED_BYTES
from tests.support.http_client import Answer
from tests.support.v1_client import V1Client, error_of

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}


@pytest.fixture
async def client(service_url: str) -> V1Client:
    return await V1Client.new(service_url)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def reference(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "item_reference", "id": item["id"]}


async def respond(client: V1Client, *items: dict[str, Any], **members: Any) -> dict[str, Any]:
    answer = await send(client, *items, **members)
    assert answer.status == 200, answer.body
    return answer.document


async def send(client: V1Client, *items: dict[str, Any], **members: Any) -> Answer:
    return await client.post("/v1/responses", {"input": [*items], **members})


def text_of(response: dict[str, Any]) -> str:
    return str(response["output"][-1]["content"][0]["text"]).strip()


def conversation_of(response: dict[str, Any]) -> str:
    return f"conv_{response['id'][5:37]}"


async def texts_in(client: V1Client, conversation: str) -> list[str]:
    listed = await client.get(f"/v1/conversations/{conversation}/items?order=asc")
    return [item["content"][0]["text"].strip() for item in listed.document["data"]]


async def test_a_history_of_references_continues_its_conversation(client: V1Client) -> None:
    first = await respond(client, user("One"))
    history = [user("One"), *map(reference, first["output"])]
    second = await respond(client, *history, user("Two"))
    history += [user("Two"), *map(reference, second["output"])]
    third = await respond(client, *history, user("Three"))

    assert text_of(third) == "One / Two / Three"
    assert {*map(conversation_of, (first, second, third))} == {conversation_of(first)}
    assert await texts_in(client, conversation_of(first)) == [
        "One", "One", "Two", "One / Two", "Three", "One / Two / Three"
    ]  # fmt: skip


async def test_a_history_that_the_client_has_changed_begins_another_conversation(
    client: V1Client,
) -> None:
    first = await respond(client, user("One"))
    items = map(reference, first["output"])
    second = await respond(client, user("Another"), *items, user("Two"))

    assert text_of(second) == "Another / Two"
    assert await texts_in(client, conversation_of(first)) == ["One", "One"]
    assert await texts_in(client, conversation_of(second)) == [
        "Another", "One", "Two", "Another / Two"
    ]  # fmt: skip


async def test_the_output_of_a_tool_follows_a_reference_to_its_call(client: V1Client) -> None:
    first = await respond(client, user("Please look."), tools=[LOOK])
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "sunny"}
        for item in first["output"]
        if item["type"] == "function_call"
    ]
    history = [user("Please look."), *map(reference, first["output"])]
    second = await respond(client, *history, *outputs, tools=[LOOK])

    history += [*outputs, *map(reference, second["output"]), user("Thanks.")]
    third = await respond(client, *history, tools=[LOOK])

    assert text_of(second) == "Found sunny and sunny"
    assert text_of(third) == "Please look. / Thanks."
    assert {*map(conversation_of, (second, third))} == {conversation_of(first)}


async def test_an_older_reply_can_be_continued(client: V1Client) -> None:
    first = await respond(client, user("One"))
    history = [user("One"), *map(reference, first["output"])]
    await respond(client, *history, user("Two"))
    branch = await respond(client, *history, user("Three"))

    assert text_of(branch) == "One / Three"
    assert conversation_of(branch) != conversation_of(first)


async def test_a_reference_needs_no_type(client: V1Client) -> None:
    first = await respond(client, user("One"))
    second = await respond(client, user("One"), {"id": first["output"][0]["id"]}, user("Two"))

    assert text_of(second) == "One / Two"


async def test_an_unstored_response_can_refer_to_stored_items(client: V1Client) -> None:
    first = await respond(client, user("One"))
    items = map(reference, first["output"])
    second = await respond(client, user("One"), *items, user("Two"), store=False)

    assert text_of(second) == "One / Two"
    assert await texts_in(client, conversation_of(first)) == ["One", "One"]


@pytest.mark.parametrize("name", ["msg_nobody", "msg_" + "0" * 48 + "_0"])
async def test_an_item_that_does_not_exist_is_refused_with_the_way_out(
    client: V1Client, name: str
) -> None:
    refused = await send(client, user("One"), reference({"id": name}), user("Two"))

    error = error_of(refused)
    assert (refused.status, error["code"], error["param"]) == (
        404, "message_not_found", "input[1].id"
    )  # fmt: skip
    assert "Send the item itself" in error["message"]
    assert name not in error["message"]


async def test_the_item_of_another_key_is_not_found(client: V1Client, service_url: str) -> None:
    first = await respond(client, user("One"))
    stranger = await V1Client.new(service_url)
    refused = await send(stranger, user("One"), reference(first["output"][0]), user("Two"))

    assert error_of(refused)["code"] == "message_not_found"


async def test_the_item_of_an_unstored_response_is_not_found(client: V1Client) -> None:
    first = await respond(client, user("One"), store=False)
    refused = await send(client, user("One"), reference(first["output"][0]), user("Two"))

    assert error_of(refused)["code"] == "message_not_found"


async def test_items_come_from_a_limited_number_of_conversations(client: V1Client) -> None:
    numbers = range(MAX_CONVERSATIONS + 1)
    replies = [await respond(client, user(f"Question {number}")) for number in numbers]
    references = [reference(reply["output"][0]) for reply in replies]
    refused = await send(client, *references, user("Two"))

    assert (await send(client, *references[:-1], user("Two"))).status == 200
    assert error_of(refused)["param"] == f"input[{MAX_CONVERSATIONS}].id"


async def test_references_to_one_long_item_do_not_make_an_endless_input(client: V1Client) -> None:
    first = await respond(client, user("One " * 2_000))
    references = [reference(first["output"][0])] * (MAX_REFERENCED_BYTES // 8_000)
    refused = await send(client, *references, user("Two"), store=False)

    assert (refused.status, error_of(refused)["code"]) == (413, "body_too_large")
    assert str(error_of(refused)["param"]).startswith("input[")
    assert (await send(client, *references[:9], user("Two"), store=False)).status == 200
