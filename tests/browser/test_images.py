"""The page shows the images of a conversation, and loads none from another server."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, expect

from domain.model.message import ImagePart
from entrypoints.settings import Settings
from tests.support.browser import Chat, Visits
from tests.support.fake_model import FakeModel
from tests.support.service import RunningService, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")
FOLDER: Final = Path(__file__).parents[2] / "build" / "pictures"
SIZES: Final[dict[str, ViewportSize]] = {
    "390x844": {"width": 390, "height": 844},
    "1280x800": {"width": 1280, "height": 800},
}


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def coloured(width: int, height: int) -> str:
    """The URL of a PNG of this size, in one colour."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x2f\x6f\xb0" * width) * height)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return ImagePart(media_type="image/png", data=data).data_url


WIDE: Final = coloured(2_400, 600)
TALL: Final = coloured(300, 2_000)


@pytest_asyncio.fixture(loop_scope="session")
async def service(browser: Browser, fake_model: FakeModel) -> AsyncIterator[RunningService]:  # noqa: ARG001 - without a browser nothing is served
    # In a small window the images leave no room for the messages before them. The model would then
    # be asked for a summary as well, and a test would answer that instead of the user.
    settings = Settings(model_images=True, model_context_tokens=100_000)
    async with running_service(settings, model=fake_model) as service:
        yield service


async def answer(fake_model: FakeModel) -> None:
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Blue.")
    model_reply.finish()


async def send_images(chat: Chat, fake_model: FakeModel) -> None:
    """As another client of the same browser would, in the conversation of the page."""
    await chat.send("Hello")
    await answer(fake_model)
    await chat.expect_reply("Blue.")
    session_id = await chat.evaluate("localStorage.getItem('privity.session')")
    body = {"message": "Which colour?", "sessionId": session_id, "images": [WIDE, TALL]}
    url = chat.page.url + "api/chat"
    posting = asyncio.create_task(chat.page.request.post(url, data=body))
    await answer(fake_model)
    assert (await posting).ok
    await chat.page.reload()
    await expect(chat.replies.last).to_have_text("Blue.")


@pytest.mark.parametrize("size", SIZES)
async def test_images_are_shown_within_the_page(
    visits: Visits, fake_model: FakeModel, size: str
) -> None:
    viewport = SIZES[size]
    async with visits(viewport=viewport) as visitor:
        chat = await visitor.open()
        await send_images(chat, fake_model)
        images = chat.page.get_by_role("img", name="Image")
        await expect(images).to_have_count(2)
        FOLDER.mkdir(parents=True, exist_ok=True)
        await chat.page.screenshot(path=FOLDER / f"images-{size}.png")
        measure = """(images) => images.map((image) => {
            const { left, right, width, height } = image.getBoundingClientRect();
            return [image.naturalWidth, left, right, width, height];
        })"""
        measured = await images.evaluate_all(measure)
        scroll_width = await chat.evaluate("document.documentElement.scrollWidth")

    assert [natural for natural, *_ in measured] == [2_400, 300]
    for _, left, right, width, height in measured:
        assert left >= 0
        assert right <= viewport["width"]
        assert 0 < width <= 322
        assert 0 < height <= 258
    ratios = [width / height for *_, width, height in measured]
    assert ratios == pytest.approx([4, 0.15], rel=0.05)
    assert scroll_width <= viewport["width"]


async def test_the_newest_message_stays_in_view_when_an_image_above_it_appears(
    visits: Visits, fake_model: FakeModel
) -> None:
    async with visits(viewport=SIZES["390x844"]) as visitor:
        chat = await visitor.open()
        await send_images(chat, fake_model)
        await expect(chat.page.get_by_role("img", name="Image")).to_have_count(2)

        await expect(chat.replies.last).to_be_in_viewport(ratio=1)


async def test_an_edited_message_keeps_its_images(visits: Visits, fake_model: FakeModel) -> None:
    async with visits() as visitor:
        chat = await visitor.open()
        await send_images(chat, fake_model)
        await chat.messages.nth(3).hover()
        await chat.button("Edit").click()
        await chat.send("Which shape?")
        await answer(fake_model)
        await chat.expect_reply("Blue.")
        await expect(chat.questions.last).to_have_text("Which shape?")

        await expect(chat.page.get_by_role("img", name="Image")).to_have_count(2)
        await chat.page.reload()
        await expect(chat.page.get_by_role("img", name="Image")).to_have_count(2)


async def test_no_image_is_loaded_from_another_server(visits: Visits) -> None:
    async with visits() as visitor:
        chat = await visitor.open()
        visitor.expect_problems("Content Security Policy")
        add = """(src) => new Promise((resolve) => {
            const image = document.createElement("img");
            image.onload = () => resolve("loaded");
            image.onerror = () => resolve("refused");
            image.src = src;
            document.body.append(image);
        })"""
        outcomes = [await chat.evaluate(add, url) for url in (WIDE, "https://images.example/a.png")]

    assert outcomes == ["loaded", "refused"]
