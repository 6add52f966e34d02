"""The summary of a long conversation: exported, sealed, used, and gone with what it covers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import evolve

from tests.support.fake_model import SummarizedModel
from tests.support.native_client import NativeClient
from tests.support.redis_contents import disguises, dump_keys
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import redis_client, settings_for
from tests.support.service import RunningService, running_service

SENTENCE = "Grandmother's kingfisher votes tremendously abstemious underneath Näsijärvi."


@pytest.fixture
def model() -> SummarizedModel:
    return SummarizedModel("word " * 40)


@pytest.fixture
async def service(
    shared_server: RedisProcess, model: SummarizedModel
) -> AsyncIterator[RunningService]:
    settings = evolve(
        settings_for(shared_server.url), model_context_tokens=1_024, model_reply_tokens=128
    )
    async with running_service(settings, model=model) as running:
        yield running


async def long_conversation(service: RunningService, client: NativeClient) -> str:
    """A conversation in which a summary is being written."""
    session_id: str | None = None
    for number in range(30):
        document = await client.send_for_document(f"{number}. " + "word " * 20, session_id)
        session_id = str(document["sessionId"])
        if service.runner.background:
            return session_id
    raise AssertionError("no summary was begun")


async def summarized(service: RunningService, client: NativeClient, model: SummarizedModel) -> str:
    """A conversation with ``SENTENCE`` as its summary."""
    session_id = await long_conversation(service, client)
    reply = await model.summaries.next_reply()
    reply.send_text(SENTENCE)
    reply.finish()
    async with asyncio.timeout(20):
        while service.runner.background:
            await asyncio.wait(set(service.runner.background))
    return session_id


async def exported(client: NativeClient, session_id: str) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get(f"/api/chat/{session_id}/export")).document
    return document


async def test_the_summary_is_exported_and_sealed_and_deleted_with_the_conversation(
    service: RunningService, model: SummarizedModel, shared_server: RedisProcess
) -> None:
    client = NativeClient(service.url)
    session_id = await summarized(service, client, model)
    export = await exported(client, session_id)
    async with redis_client(shared_server) as redis:
        stored = b" ".join((await dump_keys(redis)).values())
        await client.delete(f"/api/chat/{session_id}")
        left = await redis.exists(f"conversation:state:{session_id}")

    assert export["summary"] == SENTENCE
    assert export["summarizedUntil"] == export["workingMemoryFrom"] > 1
    assert export["messages"][0]["number"] == 1
    assert not [disguise for disguise in disguises(SENTENCE) if disguise in stored]
    assert not left


async def test_the_next_prompt_has_the_summary_and_the_history_still_has_everything(
    service: RunningService, model: SummarizedModel
) -> None:
    client = NativeClient(service.url)
    session_id = await summarized(service, client, model)
    before = len((await exported(client, session_id))["messages"])
    await client.send_for_document("And now?", session_id)

    prompt = model.prompts[-1]
    assert prompt.summary == SENTENCE
    assert len(prompt.messages) < before
    history = (await client.get(f"/api/chat/{session_id}")).document["messages"]
    assert len(history) == before + 2


async def test_an_edit_of_a_message_that_it_covers_removes_the_summary(
    service: RunningService, model: SummarizedModel
) -> None:
    client = NativeClient(service.url)
    session_id = await summarized(service, client, model)
    edited = (await exported(client, session_id))["messages"][2]["id"]
    body = {"message": "Something else", "messageId": edited}
    answer = await client.post(f"/api/chat/{session_id}/regenerate", body)
    export = await exported(client, session_id)

    assert answer.status == 200
    assert (export["summary"], export["summarizedUntil"], export["workingMemoryFrom"]) == (
        None,
        1,
        1,
    )
    assert model.prompts[-1].summary is None
    assert len(model.prompts[-1].messages) == 3


async def test_an_edit_of_a_newer_message_keeps_the_summary(
    service: RunningService, model: SummarizedModel
) -> None:
    client = NativeClient(service.url)
    session_id = await summarized(service, client, model)
    await client.post(f"/api/chat/{session_id}/regenerate", {"message": "Something else"})

    assert (await exported(client, session_id))["summary"] == SENTENCE
    assert model.prompts[-1].summary == SENTENCE
