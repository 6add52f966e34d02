"""Replies that were cut off, or that have no text, say so: a reply is never a blank page."""

import json
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from domain.model.message import FinishReason
from domain.model.piece import ReasoningPiece
from entrypoints.settings import Settings
from tests.support.browser import Chat, Visits, visiting
from tests.support.fake_model import FakeModel
from tests.support.model_server import ModelResponse, model_server
from tests.support.service import running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")
CUT: Final = "The reply was cut off because it reached its maximum length."
ONLY_THOUGHT: Final = "The assistant used up the maximum length before it wrote an answer."
FILTERED: Final = "A content filter cut the reply off."
NO_TEXT: Final = "The assistant sent no text."
RECORDED: Final = Path(__file__).parents[1] / "adapters" / "language_model" / "recorded"


async def send(chat: Chat, fake_model: FakeModel, text: str, reason: FinishReason) -> None:
    """Send a message, and reply with some reasoning and this text."""
    await chat.page.locator("textarea").fill("Hello")
    await chat.page.locator("textarea").press("Enter")
    model_reply = await fake_model.next_reply()
    model_reply.send(ReasoningPiece("Let me see. "))
    if text:
        model_reply.send_text(text)
    model_reply.finish(reason)


@pytest.mark.parametrize(
    ("reason", "text", "note"),
    [
        (FinishReason.LENGTH, "Once upon a", CUT),
        (FinishReason.LENGTH, "", ONLY_THOUGHT),
        (FinishReason.CONTENT_FILTER, "Once upon a", FILTERED),
        (FinishReason.CONTENT_FILTER, "", FILTERED),
        (FinishReason.STOP, "", NO_TEXT),
        (FinishReason.STOP, "\n\n", NO_TEXT),
        (FinishReason.LENGTH, "\n\n", ONLY_THOUGHT),
        (FinishReason.OTHER, "", NO_TEXT),
    ],
)
async def test_a_cut_or_empty_reply_says_so_also_after_a_reload(
    chat: Chat, fake_model: FakeModel, reason: FinishReason, text: str, note: str
) -> None:
    await send(chat, fake_model, text, reason)

    ending = chat.messages.last.locator(".ending")
    await expect(ending).to_have_text(note)
    await chat.page.reload()
    await expect(ending).to_have_text(note)
    await expect(chat.replies.last).to_have_text(text.strip())


async def test_a_complete_reply_has_no_note(chat: Chat, fake_model: FakeModel) -> None:
    await send(chat, fake_model, "All of it.", FinishReason.STOP)

    await chat.expect_reply("All of it.")
    await expect(chat.messages.last.locator(".ending")).to_be_hidden()


@pytest.mark.parametrize("text", ["", "\n\n"])
async def test_an_empty_reply_can_be_requested_again_and_not_copied(
    chat: Chat, fake_model: FakeModel, text: str
) -> None:
    await send(chat, fake_model, text, FinishReason.LENGTH)
    await expect(chat.messages.last.locator(".ending")).to_have_text(ONLY_THOUGHT)
    await expect(chat.messages.last.get_by_role("button", name="Copy")).to_be_hidden()

    await chat.messages.last.get_by_role("button", name="Answer again").click()

    again = await fake_model.next_reply()
    again.send_text("Here it is.")
    again.finish()
    await chat.expect_reply("Here it is.")
    await expect(chat.messages.last.locator(".ending")).to_be_hidden()
    await expect(chat.messages.last.get_by_role("button", name="Copy")).to_be_visible()


async def test_a_screen_reader_hears_the_note(chat: Chat, fake_model: FakeModel) -> None:
    await send(chat, fake_model, "", FinishReason.LENGTH)

    await expect(chat.page.locator("[role=log]")).to_have_text(ONLY_THOUGHT)


@pytest.mark.parametrize(
    ("locale", "note"),
    [
        ("fi", "Avustaja käytti enimmäispituuden, ennen kuin se ehti kirjoittaa vastauksen."),
        ("sv", "Assistenten förbrukade maxlängden innan den hann skriva ett svar."),
        ("ar", "استنفد المساعد الطول الأقصى قبل أن يكتب إجابة."),
    ],
)
async def test_the_note_is_in_the_visitors_language(
    visits: Visits, fake_model: FakeModel, locale: str, note: str
) -> None:
    async with visits(locale=locale) as visitor:
        chat = await visitor.open()
        await send(chat, fake_model, "", FinishReason.LENGTH)

        await expect(chat.messages.last.locator(".ending")).to_have_text(note)


@pytest.mark.parametrize("server", ["ollama", "vllm", "openai"])
async def test_a_model_that_only_thinks_has_room_and_never_leaves_a_blank_page(
    browser: Browser, server: str
) -> None:
    exchanges = json.loads((RECORDED / f"{server}.json").read_text("utf-8"))["exchanges"]
    cut = next(each for each in exchanges if each["expected"].get("reason") == "length")
    body = cut["responses"][0]["body"].encode()
    headers = {"content-type": "text/event-stream"}
    async with model_server(ModelResponse(headers=headers, chunks=(body,))) as model:
        settings = Settings(limits=False, model_base_url=model.url, model_name="small-1")
        async with (
            running_service(settings) as service,
            visiting(browser, service.url) as visitor,
        ):
            chat = await visitor.open()
            await chat.send("Hello")

            await expect(chat.messages.last.locator(".ending")).to_have_text(ONLY_THOUGHT)
            assert model.bodies[0]["max_tokens"] == 4_096
