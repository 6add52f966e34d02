"""The hook in examples/rag_hook: every client gets the same sources."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import pytest
from attrs import evolve
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessage
from openai.types.responses import Response

from tests.support.event_stream import text_of
from tests.support.example_hook import example_hook
from tests.support.fake_model import InstantModel
from tests.support.hook_server import KEY
from tests.support.legacy_widget import Widget
from tests.support.native_client import NativeClient
from tests.support.node import need_node, running
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RING
from tests.support.service import UNLIMITED, RunningService, running_service
from tests.support.use_chat_page import Page

QUESTION = "Can I vote by post?"
REPLY = "Yes, until Thursday [1]."

Sources: TypeAlias = list[tuple[str, str]]
"""The title and the URL of each source."""


@pytest.fixture
async def service(redis: RedisProcess) -> AsyncIterator[RunningService]:
    async with example_hook() as url:
        settings = evolve(
            UNLIMITED, redis_url=redis.url, keys=RING, v1=True, hook_url=url, hook_keys=(KEY,)
        )
        async with running_service(settings, model=InstantModel(REPLY)) as running_one:
            yield running_one


async def native_sources(service: RunningService) -> Sources:
    client = NativeClient(service.url)
    await client.get_key()
    document = await client.send_for_document(QUESTION)
    return [(source["title"], source["url"]) for source in document["reply"]["sources"]]


async def widget_sources(service: RunningService) -> Sources:
    widget = Widget(NativeClient(service.url))
    await widget.client.get_key()
    await widget.send(QUESTION)
    [search] = widget.contexts
    found = [result["segment"]["metadata"] for result in search["searchResult"]["results"]]
    return [(one["source"], one["link"]) for one in found]


async def ai_sdk_sources(service: RunningService) -> Sources:
    async with running("driver.mjs", service.url, "7") as node:
        page = Page(node)
        await page.open()
        await page.send(QUESTION)
        state = await page.until(status="ready", text="Thursday")
    parts = state["messages"][-1]["parts"]
    return [(part["title"], part["url"]) for part in parts if part["type"] == "source-url"]


def cited(annotations: list[Any]) -> Sources:
    return [(each.title, each.url) for each in annotations]


async def openai_sources(service: RunningService) -> tuple[Sources, Sources]:
    """The sources of the Responses API, and those of Chat Completions."""
    key = (await NativeClient(service.url).post("/api/client-key", {})).document["clientKey"]
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as client:
        response: Response = await client.responses.create(model="any", input=QUESTION)
        completion = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": QUESTION}]
        )
    [item] = response.output
    assert item.type == "message"
    [content] = item.content
    assert content.type == "output_text"
    message: ChatCompletionMessage = completion.choices[0].message
    in_completion = [each.url_citation for each in message.annotations or []]
    return cited(content.annotations), cited(in_completion)


async def test_every_client_gets_the_same_sources(service: RunningService) -> None:
    need_node()
    native = await native_sources(service)
    responses, completions = await openai_sources(service)

    assert native[0] == ("Voting by post", "https://www.example.org/election/voting")
    assert len(native) > 1
    assert await ai_sdk_sources(service) == native
    assert await widget_sources(service) == native
    # The first source is cited by its mark; the others stand for the whole text.
    assert sorted(responses) == sorted(completions) == sorted(native)


async def test_a_prepared_reply_and_the_phase_survive_a_restart(redis: RedisProcess) -> None:
    async with example_hook() as url:
        settings = evolve(UNLIMITED, redis_url=redis.url, keys=RING, hook_url=url, hook_keys=(KEY,))
        model = InstantModel(REPLY)
        async with running_service(settings, model=model) as first:
            client = NativeClient(first.url)
            await client.get_key()
            greeting = await client.send("Hello!")
            await client.send("Compare", greeting.session_id)
        async with running_service(settings, model=model) as second:
            again = NativeClient(second.url)
            again.cookie = client.cookie
            await again.send("What about the lake?", greeting.session_id)
            path = f"/api/chat/{greeting.session_id}/export"
            export = (await again.get(path)).document

    assert text_of(greeting.events).startswith("Hello! Ask me")
    assert export["hookState"] == {"phase": "comparing"}
    assert "compare" in model.prompts[-1].system.lower()
