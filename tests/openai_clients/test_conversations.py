"""``client.conversations`` of the openai package."""

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.conversations import Message
from openai.types.responses import ResponseInputItemParam

from tests.openai_clients.conftest import new_key

HELLO: ResponseInputItemParam = {"role": "user", "content": "Hello?"}
HI: ResponseInputItemParam = {"role": "assistant", "content": "Hi!"}


async def texts(client: AsyncOpenAI, conversation: str, **query: object) -> list[str]:
    """All texts, walked page by page."""
    pages = client.conversations.items.list(conversation, **query)  # type: ignore[arg-type]
    return [item.content[0].text async for item in pages if isinstance(item, Message)]  # type: ignore[union-attr]


async def test_a_conversation_is_created_retrieved_and_deleted(client: AsyncOpenAI) -> None:
    created = await client.conversations.create(metadata={"topic": "tea"})
    found = await client.conversations.retrieve(created.id)
    deleted = await client.conversations.delete(created.id)

    assert found == created
    assert found.metadata == {"topic": "tea"}
    assert (deleted.id, deleted.deleted) == (created.id, True)
    with pytest.raises(openai.NotFoundError) as gone:
        await client.conversations.retrieve(created.id)
    assert gone.value.code == "conversation_not_found"


async def test_metadata_is_replaced(client: AsyncOpenAI) -> None:
    created = await client.conversations.create(metadata={"topic": "tea", "page": "1"})
    changed = await client.conversations.update(created.id, metadata={"topic": "milk"})

    assert changed.metadata == {"topic": "milk"}
    assert (await client.conversations.retrieve(created.id)).metadata == {"topic": "milk"}


async def test_items_are_returned_as_they_were_added(client: AsyncOpenAI) -> None:
    created = await client.conversations.create(items=[HELLO])
    added = await client.conversations.items.create(created.id, items=[HI, HELLO])
    listed = await client.conversations.items.list(created.id, order="asc")

    assert listed.data[1:] == added.data
    assert [(item.role, item.status) for item in listed.data if isinstance(item, Message)] == [
        ("user", "completed"), ("assistant", "completed"), ("user", "completed")
    ]  # fmt: skip
    assert listed.last_id == listed.data[-1].id


async def test_the_newest_items_come_first_by_default(client: AsyncOpenAI) -> None:
    items: list[ResponseInputItemParam] = [
        {"role": "user", "content": f"{number}"} for number in range(7)
    ]
    created = await client.conversations.create(items=items)

    assert await texts(client, created.id, limit=3) == ["6", "5", "4", "3", "2", "1", "0"]
    assert await texts(client, created.id, limit=3, order="asc") == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
    ]
    assert await texts(client, created.id) == ["6", "5", "4", "3", "2", "1", "0"]


async def test_an_empty_conversation_has_an_empty_list(client: AsyncOpenAI) -> None:
    created = await client.conversations.create()

    assert await texts(client, created.id) == []


async def test_one_item_is_retrieved_and_deleted(client: AsyncOpenAI) -> None:
    created = await client.conversations.create(items=[HELLO, HI])
    first, second = (await client.conversations.items.list(created.id, order="asc")).data
    found = await client.conversations.items.retrieve(first.id or "", conversation_id=created.id)
    left = await client.conversations.items.delete(first.id or "", conversation_id=created.id)

    assert found == first
    assert left.id == created.id
    assert (await client.conversations.items.list(created.id)).data == [second]
    with pytest.raises(openai.NotFoundError):
        await client.conversations.items.retrieve(first.id or "", conversation_id=created.id)


async def test_listed_items_can_be_sent_again(client: AsyncOpenAI) -> None:
    items: list[ResponseInputItemParam] = [
        {"role": "developer", "content": "Rhyme."},
        HELLO,
        {
            "type": "reasoning",
            "id": "rs_sent",
            "summary": [{"type": "summary_text", "text": "Hm."}],
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "found"},
        HI,
    ]
    first = await client.conversations.create(items=items)
    listed = (await client.conversations.items.list(first.id, order="asc")).data
    again = [item.model_dump(exclude_unset=True) for item in listed]
    second = await client.conversations.create(items=again)  # type: ignore[arg-type]
    relisted = (await client.conversations.items.list(second.id, order="asc")).data

    assert [item.type for item in listed] == [
        "message", "message", "reasoning", "function_call", "function_call_output", "message"
    ]  # fmt: skip
    assert listed[0].role == "developer"  # type: ignore[union-attr]
    assert listed[2].id == "rs_sent"
    assert [item.model_dump(exclude={"id"}) for item in relisted] == [
        item.model_dump(exclude={"id"}) for item in listed
    ]


async def test_another_key_does_not_find_it(client: AsyncOpenAI, service_url: str) -> None:
    created = await client.conversations.create(items=[HELLO])
    stranger = client.with_options(api_key=await new_key(service_url))

    with pytest.raises(openai.NotFoundError):
        await stranger.conversations.retrieve(created.id)
    with pytest.raises(openai.NotFoundError):
        await stranger.conversations.items.create(created.id, items=[HI])
    await stranger.conversations.delete(created.id)
    assert await texts(client, created.id) == ["Hello?"]
