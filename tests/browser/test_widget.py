"""The widget in host pages on the same site and on other sites."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from entrypoints.settings import Settings
from tests.support.browser import Chat, Visitor, visiting
from tests.support.embedding_pages import (
    EMBEDDER,
    DevelopmentServer,
    embed,
    open_panel,
    served_by_https,
)
from tests.support.fake_model import FakeModel
from tests.support.service import running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")
FETCH = """async (service) => {
  const content = {method: "POST", credentials: "include", body: '{"message": "Hi"}'};
  const headers = {"content-type": "application/json"};
  const response = await fetch(service + "/api/chat", {...content, headers});
  return [response.status, await response.json()];
}"""
CONTEXT = """data-context='{"question": "q12"}'"""


@pytest_asyncio.fixture(loop_scope="session")
async def abroad(browser: Browser, fake_model: FakeModel) -> AsyncIterator[tuple[Visitor, str]]:
    """A visitor on another site that may embed the service, and the service's origin."""
    async with (
        served_by_https(fake_model, EMBEDDER) as origin,
        visiting(browser, origin, ignore_https_errors=True) as visitor,
    ):
        # All sites are on this machine; browsers restrict access from public sites to local ones.
        await visitor.context.grant_permissions(["local-network-access"], origin=EMBEDDER)
        yield visitor, origin


async def test_one_line_embeds_the_chat_on_the_same_site(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    chat = await embed(visitor, visitor.url, visitor.url, 'data-label="Ask us"')
    await expect(chat.messages).to_have_count(0)
    await open_panel(chat, "Ask us")
    await expect(chat.box).to_be_focused()

    await chat.send("Hello")

    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hello, **host**.")
    model_reply.finish()
    await chat.expect_reply("Hello, host.")
    await chat.page.keyboard.press("Escape")
    await expect(chat.box).to_be_hidden()
    await expect(chat.button("Ask us")).to_be_focused()
    assert (await Axe().run(chat.page)).violations_count == 0


async def test_the_widget_sends_no_request_before_it_is_opened(visitor: Visitor) -> None:
    chat = await embed(visitor, visitor.url, visitor.url)
    await expect(chat.button("Chat")).to_be_visible()

    assert [seen.url.rpartition("/")[2] for seen in visitor.requests] == ["host", "widget.js"]


async def test_on_another_site_the_conversation_survives_a_reload(
    abroad: tuple[Visitor, str], fake_model: FakeModel
) -> None:
    visitor, origin = abroad
    chat = await embed(visitor, EMBEDDER, origin)
    await open_panel(chat)
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Half")
    await expect(chat.replies.last).to_have_text("Half")

    await chat.page.reload()
    await open_panel(chat)

    await expect(chat.replies.last).to_have_text("Half")
    model_reply.send_text(" and half.")
    model_reply.finish()
    await chat.expect_reply("Half and half.")
    await expect(chat.timer).to_contain_text("Forgotten in 2")
    [cookie] = await visitor.context.cookies()
    assert (cookie["name"], cookie["sameSite"]) == ("__Host-privity", "None")
    assert cookie["httpOnly"]
    assert cookie["secure"]


@pytest.fixture
def development_server() -> DevelopmentServer:
    return DevelopmentServer()


@pytest_asyncio.fixture(loop_scope="session")
async def developer(
    browser: Browser, fake_model: FakeModel, development_server: DevelopmentServer
) -> AsyncIterator[tuple[Chat, str]]:
    """A page of another port that embeds a service without https, and the service's origin."""
    async with development_server.serving() as page:
        settings = Settings(limits=False, embedding_origins=(page,))
        async with (
            running_service(settings, model=fake_model) as service,
            visiting(browser, page) as visitor,
        ):
            visitor.expect_problems("403")
            origin = service.url.replace("127.0.0.1", "localhost")
            development_server.source = origin
            tab = await visitor.context.new_page()
            await tab.goto(f"{page}/host")
            yield Chat(tab), origin


async def test_in_development_a_page_of_another_port_embeds_the_chat(
    developer: tuple[Chat, str], fake_model: FakeModel
) -> None:
    chat, _ = developer
    await open_panel(chat)
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hello, developer.")
    model_reply.finish()
    await chat.expect_reply("Hello, developer.")

    await chat.page.reload()
    await open_panel(chat)

    await expect(chat.questions).to_have_text(["Hello"])
    await chat.expect_reply("Hello, developer.")
    [cookie] = await chat.page.context.cookies()
    assert (cookie["name"], cookie["sameSite"], cookie["secure"]) == ("privity", "Lax", False)


async def test_in_development_another_name_of_this_machine_is_refused_with_the_reason(
    developer: tuple[Chat, str], development_server: DevelopmentServer
) -> None:
    chat, origin = developer
    development_server.source = origin.replace("localhost", "127.0.0.1")
    await chat.page.reload()

    status, problem = await chat.evaluate(FETCH, development_server.source)

    assert (status, problem["code"]) == (403, "cross_site_request")
    assert "localhost and 127.0.0.1 are different sites" in problem["detail"]


async def test_a_page_of_this_machine_embeds_a_service_with_https(
    browser: Browser, fake_model: FakeModel, development_server: DevelopmentServer
) -> None:
    async with (
        development_server.serving() as page,
        served_by_https(fake_model, page) as origin,
        visiting(browser, origin, ignore_https_errors=True) as visitor,
    ):
        development_server.source = origin
        tab = await visitor.context.new_page()
        await tab.goto(f"{page}/host")
        chat = Chat(tab)
        await open_panel(chat)
        await chat.send("Hello")
        (await fake_model.next_reply()).finish()
        await expect(chat.button("Send")).to_be_visible()

        await chat.page.reload()
        await open_panel(chat)

        await expect(chat.questions).to_have_text(["Hello"])
        [cookie] = await visitor.context.cookies()
        assert (cookie["name"], cookie["sameSite"]) == ("__Host-privity", "None")


async def test_on_another_site_the_widget_exports_and_forgets(
    abroad: tuple[Visitor, str], fake_model: FakeModel
) -> None:
    visitor, origin = abroad
    chat = await embed(visitor, EMBEDDER, origin)
    await open_panel(chat)
    await chat.send("Hello")
    (await fake_model.next_reply()).finish()
    await expect(chat.button("Send")).to_be_visible()
    async with chat.page.expect_download() as download:
        await chat.button("Export").click()
    assert (await download.value).suggested_filename == "conversation.json"

    await chat.forget("Forget everything here")

    await expect(chat.notice).to_contain_text("Everything in this browser has been forgotten.")
    assert await visitor.context.cookies() == []


async def test_an_unlisted_site_gets_no_widget(
    abroad: tuple[Visitor, str],
) -> None:
    visitor, origin = abroad
    visitor.expect_problems("blocked by CORS policy", "ERR_FAILED")

    chat = await embed(visitor, "https://evil.example", origin)

    await expect(chat.page.get_by_role("heading", name="A host page")).to_be_visible()
    await expect(chat.button("Chat")).to_have_count(0)


async def test_the_host_page_sends_page_context(visitor: Visitor, fake_model: FakeModel) -> None:
    chat = await embed(visitor, visitor.url, visitor.url, CONTEXT)
    await open_panel(chat)
    await chat.send("What is this?")
    first = await fake_model.next_reply()
    first.finish()
    await expect(chat.button("Send")).to_be_visible()
    set_context = "document.querySelector('privity-chat').context = {question: 'q13'}"
    await chat.evaluate(set_context)
    await chat.send("And this?")
    second = await fake_model.next_reply()

    assert first.prompt.page_context == '{"question":"q12"}'
    assert second.prompt.page_context == '{"question":"q13"}'


async def test_an_edit_brings_the_page_context_of_now(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    chat = await embed(visitor, visitor.url, visitor.url, CONTEXT)
    await open_panel(chat)
    await chat.send("Waht is this?")
    (await fake_model.next_reply()).finish()
    await expect(chat.button("Send")).to_be_visible()
    await chat.evaluate("document.querySelector('privity-chat').context = {question: 'q13'}")
    await chat.questions.last.hover()
    await chat.button("Edit").click()
    await chat.send("What is this?")
    edited = await fake_model.next_reply()
    edited.send_text("A question.")
    edited.finish()
    await chat.expect_reply("A question.")
    await chat.evaluate("document.querySelector('privity-chat').context = {question: 'q14'}")
    await chat.messages.last.hover()
    await chat.button("Answer again").click()
    again = await fake_model.next_reply()

    assert edited.prompt.page_context == '{"question":"q13"}'
    assert again.prompt.page_context == '{"question":"q13"}'


async def test_another_reply_is_in_the_language_of_the_page(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    english = await embed(visitor, visitor.url, visitor.url, 'data-language="en"')
    await open_panel(english)
    await english.send("Hello")
    first = await fake_model.next_reply()
    first.send_text("Hi!")
    first.finish()
    await english.expect_reply("Hi!")

    finnish = await embed(visitor, visitor.url, visitor.url, 'data-language="fi"')
    await finnish.button("Chat").click()
    await finnish.messages.last.hover()
    await finnish.button("Vastaa uudelleen").click()
    second = await fake_model.next_reply()

    assert (first.prompt.locale, second.prompt.locale) == ("en", "fi")


async def test_the_host_page_chooses_colours_language_and_place(visitor: Visitor) -> None:
    style = "privity-chat { --privity-accent: rgb(120, 0, 90); --privity-side: 48px; }"
    chat = await embed(visitor, visitor.url, visitor.url, 'data-language="fi"', style)
    launcher = chat.button("Chat")
    box = await launcher.bounding_box()
    await launcher.click()
    send = chat.button("Lähetä")

    await expect(send).to_have_css("background-color", "rgb(120, 0, 90)")
    await expect(launcher).to_have_css("background-color", "rgb(120, 0, 90)")
    assert box
    assert box["x"] + box["width"] == 1280 - 48


async def test_an_open_widget_does_not_take_the_focus_from_the_host_page(visitor: Visitor) -> None:
    chat = await embed(visitor, visitor.url, visitor.url, "data-open")

    await expect(chat.messages).to_have_count(1)
    assert await chat.evaluate("document.activeElement.tagName") == "BODY"
