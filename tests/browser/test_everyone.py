"""Accessibility: keyboard, screen reader, zoom, reduced motion, right to left, languages."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.support.browser import CUT, Chat, Visitor, Visits
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")
REPLY = (
    "It **depends**. See [the page](https://e.org/):\n\n- one\n- `two`\n\n"
    "> quoted\n\n```\na = 1\n```"
)
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}


async def violations(chat: Chat) -> Sequence[str]:
    results = await Axe().run(chat.page)
    return [
        f"{found['id']}: {found['nodes'][0]['html']}" for found in results.response["violations"]
    ]


async def talked(chat: Chat, fake_model: FakeModel, reply: str = REPLY) -> None:
    """A question, and a reply that uses every kind of formatting."""
    await chat.box.fill("Hello")
    await chat.box.press("Enter")
    model_reply = await fake_model.next_reply()
    model_reply.send_text(reply)
    model_reply.finish()
    await expect(chat.messages.last.locator(".actions")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("locale", ["en-GB", "ar"])
async def test_axe_finds_no_violations(
    visits: Visits, fake_model: FakeModel, scheme: Any, size: Any, locale: str
) -> None:
    options = {"color_scheme": scheme, "viewport": size, "locale": locale}
    async with visits(**options) as visitor:
        visitor.expect_problems(CUT)
        chat = await visitor.open()
        await talked(chat, fake_model)
        finished = await violations(chat)
        await chat.box.fill("Again")
        await chat.box.press("Enter")
        model_reply = await fake_model.next_reply()
        model_reply.send_text("So")
        await expect(chat.replies.last).to_have_text("So")
        writing = await violations(chat)
        model_reply.fail()
        await expect(chat.notice).not_to_have_text("")
        failed = await violations(chat)
        await chat.page.locator(".retention button").first.click()
        asking = await violations(chat)

    assert [finished, writing, failed, asking] == [[], [], [], []]


async def test_every_control_is_reachable_by_keyboard(chat: Chat, fake_model: FakeModel) -> None:
    await talked(chat, fake_model, "Yes")
    reached = []
    await chat.page.locator("body").evaluate("body => document.activeElement.blur()")
    for _ in range(12):
        await chat.page.keyboard.press("Tab")
        name = "document.activeElement.ariaLabel || document.activeElement.textContent"
        reached.append(await chat.evaluate(name))

    assert {"Language", "Conversation", "Copy", "Edit", "Answer again", "Your message"} <= {
        *reached
    }
    assert {"Send", "Forget now", "Export", "Forget everything here"} <= {*reached}


async def test_screen_readers_announce_each_complete_paragraph_once(
    chat: Chat, fake_model: FakeModel
) -> None:
    await chat.evaluate(
        """() => {
            globalThis.announced = [];
            const live = document.querySelector("[role=log]");
            new MutationObserver((seen) => seen.forEach((one) => globalThis.announced.push(
                ...[...one.addedNodes].map((node) => node.textContent))))
                .observe(live, {childList: true, subtree: true, characterData: true});
        }"""
    )
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    for piece in ("The ", "first", ".\n\n", "- one", "\n- two", "\n\nThe ", "last."):
        model_reply.send_text(piece)
        await expect(chat.replies.last).to_contain_text(piece.strip("\n- ") or "first")
    model_reply.finish()
    await expect(chat.button("Send")).to_be_visible()

    announced = await chat.evaluate("globalThis.announced")

    assert [text.split() for text in announced] == [
        ["The", "first."],
        ["one", "two"],
        ["The", "last."],
    ]
    assert (
        await chat.page.locator("[aria-live], [role=log], [role=status], [role=alert]").count() == 3
    )


async def test_nothing_is_lost_at_200_percent_zoom(visits: Visits, fake_model: FakeModel) -> None:
    # 1280 by 800 at 200 percent zoom; then the narrowest viewport that WCAG requires.
    for size in ({"width": 640, "height": 400}, {"width": 320, "height": 480}):
        async with visits(viewport=size) as visitor:
            chat = await visitor.open()
            await talked(chat, fake_model, "word " * 80 + "\n\n```\n" + "long " * 60 + "\n```")
            width = await chat.evaluate("document.documentElement.scrollWidth")

            log = chat.page.get_by_role("region", name="Conversation")
            assert width <= size["width"]
            assert await log.evaluate("log => log.scrollWidth <= log.clientWidth")
            for name in ("Send", "Forget now", "Export", "Forget everything here"):
                await expect(chat.button(name)).to_be_in_viewport()
            await expect(chat.messages.last).to_be_in_viewport()


async def test_a_list_of_another_direction_fits_a_narrow_page(
    visits: Visits, fake_model: FakeModel
) -> None:
    async with visits(locale="ar", viewport={"width": 390, "height": 800}) as visitor:
        chat = await visitor.open()
        await talked(chat, fake_model, "مرحبا\n\n- one\n- two")

        assert await chat.page.locator(".log").evaluate("log => log.scrollWidth <= log.clientWidth")


async def test_reduced_motion_is_respected(visits: Visits, fake_model: FakeModel) -> None:
    async with visits(reduced_motion="reduce") as visitor:
        chat = await visitor.open()
        await chat.send("Hello")
        await fake_model.next_reply()
        await expect(chat.page.locator(".dots:visible")).to_have_count(1)

        assert await chat.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize(
    ("locale", "tag", "send", "welcome"),
    [
        ("fi-FI", "fi", "Lähetä", "Hei! Mitä haluaisit tietää?"),
        ("sv-SE", "sv", "Skicka", "Hej! Vad vill du veta?"),
        ("ar-EG", "ar", "إرسال", "مرحبًا! ماذا تود أن تعرف؟"),
        ("de-DE", "en", "Send", "Hello! What would you like to know?"),
    ],
)
async def test_the_page_uses_the_visitors_language(
    visits: Visits, locale: str, tag: str, send: str, welcome: str
) -> None:
    async with visits(locale=locale) as visitor:
        chat = await visitor.open()

        await expect(chat.button(send)).to_be_visible()
        await expect(chat.replies).to_have_text([welcome])
        direction = "rtl" if tag == "ar" else "ltr"
        assert await chat.evaluate("[document.documentElement.lang, document.dir]") == [
            tag,
            direction,
        ]


async def test_a_right_to_left_language_mirrors_the_layout(
    visits: Visits, fake_model: FakeModel
) -> None:
    async with visits(locale="ar") as visitor:
        chat = await visitor.open()
        await talked(chat, fake_model, "Left to right, even so.")
        question, send = (
            await chat.questions.last.bounding_box(),
            await chat.button("إرسال").bounding_box(),
        )
        box = await chat.page.locator("textarea").bounding_box()

    assert question
    assert send
    assert box
    assert question["x"] < 640 < question["x"] + 640
    assert send["x"] < box["x"]


async def test_a_chosen_language_is_remembered(visitor: Visitor, chat: Chat) -> None:
    await chat.box.fill("A draft")
    await chat.page.get_by_label("Language").select_option("fi")

    await expect(chat.button("Lähetä")).to_be_visible()
    await expect(chat.replies).to_have_text(["Hei! Mitä haluaisit tietää?"])
    await expect(chat.page.get_by_role("textbox")).to_have_value("A draft")
    await chat.page.reload()
    await expect(chat.button("Lähetä")).to_be_visible()
    assert all(re.match(re.escape(visitor.url), seen.url) for seen in visitor.requests)
