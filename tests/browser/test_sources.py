"""The sources of a reply: below it, and as marks in its text that lead to them."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import punq
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, expect

from domain.model.preparation import HookPolicy, Preparation
from domain.model.prompt import Passage
from ports.turn_hook import TurnHook
from tests.support.browser import CUT, Chat, Visits
from tests.support.fake_model import FakeModel
from tests.support.scripted_hook import ScriptedHook
from tests.support.service import UNLIMITED, RunningService, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")
FOLDER: Final = Path(__file__).parents[2] / "build" / "pictures"
ABROAD: Final = Passage(title="Voting abroad", text="By letter.", url="https://vote.example/abroad")
LEAFLET: Final = Passage(title="A leaflet", text="Bring a <b>passport</b>.")
SCRIPT: Final = Passage(title="A script", text="Do not run.", url="javascript:alert(1)")
TEXT: Final = "By letter [1], with a passport **[2]**, not [9], not `[1]`."
SHOWN: Final = "By letter [1], with a passport [2], not [9], not [1]."
LONG: Final = "A title that goes on, about the election of the parliament and its committees " * 3
TWENTY: Final = tuple(
    Passage(title=f"{LONG if number % 5 == 0 else 'Page'} {number}", text="Some words.")
    if number % 3 == 0
    else Passage(title=f"Page {number}", text="Words.", url=f"https://e.example/{number}")
    for number in range(1, 21)
)
PHONE: Final = {"width": 390, "height": 844}
DESK: Final = {"width": 1280, "height": 800}


def prepared(*passages: Passage) -> Preparation:
    return Preparation(passages=passages)


@pytest.fixture
def passages() -> Sequence[Preparation]:
    """What the hook prepares for each turn."""
    return (prepared(ABROAD, LEAFLET),)


@pytest_asyncio.fixture(loop_scope="session")
async def service(
    browser: Browser,  # noqa: ARG001 - without a browser nothing is served
    fake_model: FakeModel,
    passages: Sequence[Preparation],
) -> AsyncIterator[RunningService]:
    def replacing(container: punq.Container) -> None:
        container.register(TurnHook, instance=ScriptedHook(*passages))
        container.register(HookPolicy, instance=HookPolicy(enabled=True))

    async with running_service(UNLIMITED, model=fake_model, replacing=replacing) as service:
        yield service


def sources(chat: Chat) -> Locator:
    return chat.messages.last.locator(".sources")


async def talk(chat: Chat, fake_model: FakeModel, text: str = TEXT, shown: str = SHOWN) -> None:
    await chat.page.locator("textarea").fill("How do I vote?")
    await chat.page.locator("textarea").press("Enter")
    reply = await fake_model.next_reply()
    reply.send_text(text)
    reply.finish()
    await expect(chat.replies.last).to_have_text(shown)
    await expect(chat.messages.last.locator(".actions")).to_be_visible()


async def violations(chat: Chat) -> Sequence[str]:
    results = await Axe().run(chat.page)
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in results.response["violations"]]


async def test_a_reply_shows_its_sources_before_and_after_a_reload(
    chat: Chat, fake_model: FakeModel
) -> None:
    await talk(chat, fake_model)

    for _ in range(2):
        items = sources(chat).get_by_role("listitem")
        await expect(items).to_have_count(2)
        link = items.first.get_by_role("link", name="1 Voting abroad")
        await expect(link).to_have_attribute("href", "https://vote.example/abroad")
        await expect(link).to_have_attribute("target", "_blank")
        await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        excerpt = items.last.get_by_text("Bring a <b>passport</b>.")
        await expect(excerpt).to_be_hidden()
        await items.last.get_by_text("A leaflet").click()
        await expect(excerpt).to_be_visible()
        assert await violations(chat) == []
        await chat.page.reload()


async def test_marks_in_the_text_lead_to_the_sources_that_they_cite(
    chat: Chat, fake_model: FakeModel
) -> None:
    await talk(chat, fake_model)
    marks = chat.replies.last.get_by_role("button")

    await expect(marks).to_have_text(["[1]", "[2]"])
    await marks.first.press("Enter")
    await expect(sources(chat).get_by_role("link")).to_be_focused()
    await marks.last.click()
    await expect(sources(chat).get_by_text("Bring a <b>passport</b>.")).to_be_visible()


@pytest.mark.parametrize("passages", [(prepared(ABROAD, LEAFLET), prepared(LEAFLET))])
async def test_another_reply_shows_its_own_sources(chat: Chat, fake_model: FakeModel) -> None:
    await talk(chat, fake_model)
    await chat.messages.last.hover()
    await chat.button("Answer again").click()
    reply = await fake_model.next_reply()
    reply.send_text("With a passport [1], not [2].")
    reply.finish()
    await chat.expect_reply("With a passport [1], not [2].")

    await expect(sources(chat).get_by_role("listitem")).to_have_text(
        ["1 A leaflet"], use_inner_text=True
    )
    await expect(chat.replies.last.get_by_role("button")).to_have_text(["[1]"])


@pytest.mark.parametrize("passages", [()])
async def test_without_sources_marks_stay_text(chat: Chat, fake_model: FakeModel) -> None:
    await talk(chat, fake_model)

    await expect(sources(chat)).to_be_hidden()
    await expect(chat.replies.last.get_by_role("button")).to_have_count(0)


@pytest.mark.parametrize("passages", [(prepared(SCRIPT),)])
async def test_only_web_addresses_become_links(chat: Chat, fake_model: FakeModel) -> None:
    await talk(chat, fake_model)

    await expect(sources(chat).get_by_text("A script")).to_be_visible()
    await expect(sources(chat).get_by_role("link")).to_have_count(0)


@pytest.mark.parametrize("passages", [(prepared(ABROAD),)])
async def test_a_reply_that_fails_at_once_leaves_no_sources(
    visits: Visits, fake_model: FakeModel
) -> None:
    async with visits() as visitor:
        visitor.expect_problems(CUT)
        chat = await visitor.open()
        await chat.send("Hello")
        (await fake_model.next_reply()).fail()
        await expect(chat.notice).not_to_have_text("")

        await expect(chat.page.locator(".sources:visible")).to_have_count(0)


@pytest.mark.parametrize("passages", [(prepared(*TWENTY),)])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("locale", ["en-GB", "ar"])
async def test_many_long_sources_fit_the_page(
    visits: Visits, fake_model: FakeModel, size: Any, locale: str
) -> None:
    async with visits(viewport=size, locale=locale) as visitor:
        chat = await visitor.open()
        await talk(chat, fake_model, "See [20] and [1].", "See [20] and [1].")
        FOLDER.mkdir(parents=True, exist_ok=True)
        name = f"{locale[:2]}-{size['width']}x{size['height']}.png"
        items = sources(chat).get_by_role("listitem")
        await expect(items).to_have_count(0)
        await chat.page.screenshot(path=FOLDER / f"sources-closed-{name}")
        await chat.replies.last.get_by_role("button", name="[20]").click()
        await expect(items).to_have_count(20)
        await expect(items.last.get_by_role("link")).to_be_focused()
        await items.nth(2).locator("summary").click()
        await chat.page.screenshot(path=FOLDER / f"sources-open-{name}")
        found = await violations(chat)
        width = await chat.evaluate("document.documentElement.scrollWidth")
        log = chat.page.locator(".log")
        overflows = await log.evaluate("log => log.scrollWidth > log.clientWidth")

    assert found == []
    assert width <= size["width"]
    assert not overflows
