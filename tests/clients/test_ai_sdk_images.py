"""``useChat``: images as files, in messages and in the history."""

from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from domain.model.message import TextPart
from tests.support.builders import an_image
from tests.support.fake_model import FakeModel
from tests.support.redis_servers import RedisProcess
from tests.support.service import NEW, WITH_IMAGES, RunningService, running_service
from tests.support.use_chat_page import Page, complete_reply, kinds, stored_state

IMAGE = an_image(200_000)
FILE = {"type": "file", "mediaType": "image/png", "filename": "cat.png", "url": IMAGE.data_url}


@pytest.fixture
async def service(fake_model: FakeModel, redis: RedisProcess) -> AsyncIterator[RunningService]:
    settings = evolve(WITH_IMAGES, redis_url=redis.url, keys=NEW)
    async with running_service(settings, model=fake_model) as service:
        yield service


async def test_an_image_is_sent_stored_and_shown_again(page: Page, fake_model: FakeModel) -> None:
    await page.open()
    await page.send("What is this?", files=[FILE])
    first = await complete_reply(page, fake_model, "A cat.")
    stored = await stored_state(page)
    await page.validate(stored["messages"])
    await page.open(id=stored["id"], messages=stored["messages"])
    await page.send("Really?")
    second = await complete_reply(page, fake_model, "Yes.")
    state = await page.state()

    assert set(first.prompt.messages[-1].parts) == {TextPart("What is this?"), IMAGE}
    assert second.prompt.messages[0].parts == first.prompt.messages[0].parts
    assert sorted(kinds(stored["messages"][0])) == ["file", "text"]
    assert [part["url"] for part in stored["messages"][0]["parts"] if part["type"] == "file"] == [
        IMAGE.data_url
    ]
    assert state["errors"] == []


async def test_a_message_may_consist_of_an_image(page: Page, fake_model: FakeModel) -> None:
    await page.open()
    await page.send("", files=[FILE])
    model_reply = await complete_reply(page, fake_model, "A cat.")

    assert model_reply.prompt.messages[-1].parts == (IMAGE,)


async def test_a_regenerated_reply_is_to_the_same_image(page: Page, fake_model: FakeModel) -> None:
    await page.open()
    await page.send("What is this?", files=[FILE])
    first = await complete_reply(page, fake_model, "A cat.")
    await page.regenerate()
    second = await complete_reply(page, fake_model, "A dog.")

    assert second.prompt.messages == first.prompt.messages
