"""Screenshots of the page for human review, in build/pictures, by size, colours and language."""

from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import ViewportSize, expect

from domain.model.message import FinishReason
from domain.model.piece import ReasoningPiece
from tests.support.browser import CUT, Chat, Visits
from tests.support.embedding_pages import embed, open_panel
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")
FOLDER: Final = Path(__file__).parents[2] / "build" / "pictures"
SIZES: Final[dict[str, ViewportSize]] = {
    "390x844": {"width": 390, "height": 844},
    "1280x800": {"width": 1280, "height": 800},
}
QUESTIONS: Final = {
    "en-GB": ("How do I vote from abroad?", "And what do I need to bring?"),
    "ar": ("كيف أصوّت من الخارج؟", "وماذا أحضر معي؟"),
}
REPLIES: Final = {
    "en-GB": (
        (
            "There are **two ways**:\n\n1. At an embassy, in the week before election day.\n"
            "2. By letter; order the papers at [vote.example](https://vote.example/) in time.\n\n"
            "The letter must arrive by Friday, so send it two weeks before."
        ),
        "A passport or an identity card. The *polling card* helps, but",
    ),
    "ar": (
        (
            "هناك **طريقتان**:\n\n1. في السفارة، خلال الأسبوع السابق ليوم الانتخاب.\n"
            "2. بالبريد؛ اطلب الأوراق من [vote.example](https://vote.example/) مبكرًا.\n\n"
            "يجب أن تصل الرسالة قبل يوم الجمعة."
        ),
        "جواز سفر أو بطاقة هوية. *بطاقة الاقتراع* مفيدة، لكن",
    ),
}


async def talk(chat: Chat, fake_model: FakeModel, locale: str) -> None:
    """An answered question, and another one whose reply is being written."""
    for number, (question, reply) in enumerate(
        zip(QUESTIONS[locale], REPLIES[locale], strict=True)
    ):
        box = chat.page.locator("textarea")
        await box.fill(question)
        await box.press("Enter")
        model_reply = await fake_model.next_reply()
        model_reply.send_text(reply)
        await expect(chat.replies.last.locator("strong, em")).to_be_visible()
        if number == 0:
            model_reply.finish()
            await expect(chat.messages.last.locator(".actions")).to_be_visible()


async def take(chat: Chat, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture = await chat.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")

    assert picture


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("locale", QUESTIONS)
async def test_the_page(
    visits: Visits, fake_model: FakeModel, scheme: Any, size: str, locale: str
) -> None:
    options = {"color_scheme": scheme, "viewport": SIZES[size], "locale": locale}
    async with visits(**options) as visitor:
        chat = await visitor.open()
        await talk(chat, fake_model, locale)
        await take(chat, f"page-{locale[:2]}-{size}-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_errors_and_dialogs(
    visits: Visits, fake_model: FakeModel, scheme: Any, size: str
) -> None:
    options = {"color_scheme": scheme, "viewport": SIZES[size]}
    async with visits(**options) as visitor:
        visitor.expect_problems(CUT)
        chat = await visitor.open()
        await chat.send("Hello")
        model_reply = await fake_model.next_reply()
        model_reply.send_text("I wanted to")
        model_reply.fail()
        await expect(chat.notice).not_to_have_text("")
        await take(chat, f"trouble-{size}-{scheme}")
        await chat.button("Forget everything here").click()
        await take(chat, f"question-{size}-{scheme}")
        await chat.page.locator("dialog[open] .main").click()
        await expect(chat.messages).to_have_count(0)
        await take(chat, f"forgotten-{size}-{scheme}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("locale", QUESTIONS)
async def test_cut_replies(visits: Visits, fake_model: FakeModel, size: str, locale: str) -> None:
    async with visits(viewport=SIZES[size], locale=locale) as visitor:
        chat = await visitor.open()
        for question, text in zip(QUESTIONS[locale], (REPLIES[locale][1], ""), strict=True):
            await chat.page.locator("textarea").fill(question)
            await chat.page.locator("textarea").press("Enter")
            model_reply = await fake_model.next_reply()
            model_reply.send(ReasoningPiece("Let me see. "))
            model_reply.send_text(*filter(None, [text]))
            model_reply.finish(FinishReason.LENGTH)
            await expect(chat.messages.last.locator(".ending")).not_to_have_text("")
        await take(chat, f"cut-{locale[:2]}-{size}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_widget(visits: Visits, fake_model: FakeModel, scheme: Any, size: str) -> None:
    options = {"color_scheme": scheme, "viewport": SIZES[size]}
    async with visits(**options) as visitor:
        style = ":root { color-scheme: light dark; } body { font: 1rem system-ui; margin: 2rem; }"
        chat = await embed(visitor, visitor.url, visitor.url, 'data-label="Ask us"', style)
        await expect(chat.button("Ask us")).to_be_visible()
        await take(chat, f"widget-closed-{size}-{scheme}")
        await open_panel(chat, "Ask us")
        await talk(chat, fake_model, "en-GB")
        await take(chat, f"widget-{size}-{scheme}")
