"""A conversation that is full has a way on: a new one that begins with what is known of it."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest

from domain.model.limits import MAX_CONVERSATION_MESSAGES
from entrypoints.settings import Settings
from ports.language_model import ModelUnavailable
from tests.support.fake_model import FakeModel, SummarizedModel
from tests.support.http_client import JSON, Answer
from tests.support.native_client import NativeClient
from tests.support.service import RunningService, running_service
from tests.support.v1_client import V1Client

KNOWN = "They planned a trip to Näsijärvi."
SMALL: dict[str, Any] = {"model_context_tokens": 1_024, "model_reply_tokens": 128}


@pytest.fixture
def model() -> SummarizedModel:
    return SummarizedModel("word " * 40)


@pytest.fixture
async def service(model: SummarizedModel) -> AsyncIterator[RunningService]:
    settings = Settings(limits=False, v1=True, **SMALL)
    async with running_service(settings, model=model) as running:
        yield running


@pytest.fixture
async def user(service: RunningService) -> NativeClient:
    client = NativeClient(service.url)
    await client.get_key()
    return client


async def continued(user: NativeClient, session_id: str, **members: Any) -> Answer:
    return await user.post("/api/sessions", {"continues": session_id, **members})


async def exported(user: NativeClient, session_id: str) -> dict[str, Any]:
    document: dict[str, Any] = (await user.get(f"/api/chat/{session_id}/export")).document
    return document


async def history(user: NativeClient, session_id: str) -> list[dict[str, Any]]:
    document = (await user.get(f"/api/chat?sessionId={session_id}")).document
    messages: list[dict[str, Any]] = document["messages"]
    return messages


async def talked(user: NativeClient, turns: int) -> str:
    session_id: str | None = None
    for number in range(1, turns + 1):
        document = await user.send_for_document(f"Question {number}. " + "word " * 20, session_id)
        session_id = document["sessionId"]
    assert session_id is not None
    return session_id


async def filled(service: RunningService, text: str) -> tuple[NativeClient, str]:
    """A conversation that accepts no more messages, and its owner."""
    program = await V1Client.new(service.url)
    conversation = await program.conversation()
    path = f"/v1/conversations/{conversation}/items"
    for count, content in ((125, text), (5, text), (1, text[:200])):
        exchange = [{"role": role, "content": content} for role in ("user", "assistant")]
        while (await program.post(path, {"items": exchange * count})).status == HTTPStatus.OK:
            pass
    digits = conversation.removeprefix("conv_")
    return program.client, str(UUID(digits))


async def written(model: SummarizedModel, *texts: str) -> None:
    for text in texts:
        reply = await model.summaries.next_reply()
        reply.send_text(text)
        reply.finish()


async def test_a_short_conversation_is_continued_as_it_is(
    user: NativeClient, model: SummarizedModel
) -> None:
    before = await talked(user, turns=2)
    old = await exported(user, before)
    answer = await continued(user, before)
    after = answer.document["sessionId"]
    new = await exported(user, after)

    assert answer.status == 201
    assert (answer.document["welcome"], answer.document["continues"]) == (None, before)
    assert after != before
    assert [message["parts"] for message in new["messages"]] == [
        message["parts"] for message in old["messages"]
    ]
    assert not {message["id"] for message in new["messages"]} & {
        message["id"] for message in old["messages"]
    }
    assert [message["number"] for message in new["messages"]] == [1, 2, 3, 4]
    assert model.summaries.call_count == 0
    assert await exported(user, before) == old


async def test_what_is_not_copied_is_in_the_summary(
    user: NativeClient, model: SummarizedModel
) -> None:
    before = await talked(user, turns=4)
    answering = asyncio.create_task(continued(user, before))
    await written(model, KNOWN)
    after = (await answering).document["sessionId"]
    new = await exported(user, after)
    await user.send_for_document("And now?", after)

    assert (new["summary"], new["summarizedUntil"], new["workingMemoryFrom"]) == (KNOWN, 1, 1)
    copied = len(new["messages"])
    assert 2 <= copied <= 8
    assert copied % 2 == 0
    assert new["messages"][-2]["parts"][0]["text"].startswith("Question 4.")
    assert model.prompts[-1].summary == KNOWN
    assert len(model.prompts[-1].messages) == copied + 1


async def test_a_copied_reply_can_be_replaced(user: NativeClient) -> None:
    after = (await continued(user, await talked(user, turns=1))).document["sessionId"]
    replaced = await user.post(f"/api/chat/{after}/regenerate", {"message": "Or this?"}, **JSON)

    assert replaced.status == 200
    assert [message["content"][:8] for message in await history(user, after)] == [
        "Or this?",
        "word wor",
    ]


async def test_language_and_metadata_are_kept_unless_the_request_has_others(
    user: NativeClient,
) -> None:
    members = {"locale": "en", "metadata": {"topic": "lakes"}}
    before = (await user.post("/api/sessions", members)).document["sessionId"]
    await user.send_for_document("Hello?", before)
    kept = (await continued(user, before)).document["sessionId"]
    changed = (await continued(user, before, metadata={"topic": "sea"})).document["sessionId"]

    assert (await exported(user, kept))["metadata"] == {"topic": "lakes"}
    assert (await exported(user, changed))["metadata"] == {"topic": "sea"}


@pytest.mark.parametrize("text", ["x", "=" * 2_000], ids=["messages", "bytes"])
async def test_a_full_conversation_can_be_continued(
    service: RunningService, model: SummarizedModel, text: str
) -> None:
    user, before = await filled(service, text)
    refused = await user.send("Hello? " * 80, before)
    answering = asyncio.create_task(continued(user, before))
    await written(model, "They said x.", KNOWN)
    answer = await answering
    after = answer.document["sessionId"]

    assert (refused.status, refused.document["code"]) == (413, "conversation_full")
    assert "/api/sessions" in refused.document["detail"]
    assert answer.status == 201
    new = await exported(user, after)
    assert new["summary"] == KNOWN
    assert len(new["messages"]) <= MAX_CONVERSATION_MESSAGES // 4
    assert (await user.send_for_document("And now?", after))["reply"]["status"] == "finished"


async def test_if_the_model_fails_nothing_is_created(
    user: NativeClient, model: SummarizedModel
) -> None:
    before = await talked(user, turns=4)
    answering = asyncio.create_task(continued(user, before))
    (await model.summaries.next_reply()).fail(ModelUnavailable())
    answer = await answering

    assert (answer.status, answer.document["code"]) == (502, "model_unavailable")


async def test_a_model_that_writes_no_summary_has_failed(
    user: NativeClient, model: SummarizedModel
) -> None:
    before = await talked(user, turns=4)
    answering = asyncio.create_task(continued(user, before))
    (await model.summaries.next_reply()).finish()
    answer = await answering

    assert (answer.status, answer.document["code"]) == (502, "model_failed")


async def test_without_summaries_only_the_newest_messages_are_kept(
    model: SummarizedModel,
) -> None:
    settings = Settings(limits=False, summaries=False, **SMALL)
    async with running_service(settings, model=model) as running:
        user = NativeClient(running.url)
        after = (await continued(user, await talked(user, turns=4))).document["sessionId"]
        new = await exported(user, after)

    assert new["summary"] is None
    assert new["messages"][-2]["parts"][0]["text"].startswith("Question 4.")
    assert model.summaries.call_count == 0


async def test_only_the_owner_can_continue_a_conversation(
    service: RunningService, user: NativeClient
) -> None:
    before = await talked(user, turns=1)
    stranger = NativeClient(service.url)
    await stranger.get_key()
    answers = [await continued(stranger, before), await continued(user, "no such chat")]

    assert [(answer.status, answer.document["code"]) for answer in answers] == [
        (404, "conversation_not_found")
    ] * 2


async def test_while_a_reply_is_written_the_conversation_is_not_continued() -> None:
    model = FakeModel()
    async with running_service(Settings(limits=False), model=model) as running:
        user = NativeClient(running.url)
        await user.get_key()
        before = (await user.post("/api/sessions", {})).document["sessionId"]
        async with user.streaming("Hello?", before):
            await model.next_reply()
            answer = await continued(user, before)

    assert (answer.status, answer.document["code"]) == (409, "turn_in_progress")
