"""The first message creates the conversation, whatever goes wrong meanwhile."""

import asyncio
import json
import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Dialog, Route, expect

from tests.support.browser import Chat, Visitor, start_reply
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")
WELCOME = "Hello! What would you like to know?"
HISTORY_URL = re.compile(r"/api/chat\?sessionId=")
MESSAGE_URL = re.compile(r"/api/chat$")
HISTORY = """() => fetch(`api/chat?sessionId=${localStorage.getItem("privity.session")}`)
    .then((answer) => answer.json())
    .then(({ messages }) => messages.map(({ content }) => content))"""


class HeldRoute:
    """Holds requests until the test releases them; then they are sent, or get ``answer``."""

    def __init__(self, **answer: Any) -> None:
        self.held = asyncio.Event()
        self.released = asyncio.Event()
        self.answer = answer

    async def hold(self, route: Route) -> None:
        self.held.set()
        await self.released.wait()
        if self.answer:
            content_type = "application/problem+json"
            await route.fulfill(content_type=content_type, **self.answer)
        else:
            await route.continue_()


def posts(visitor: Visitor, path: str) -> int:
    """How many POST requests were sent to this path."""
    return sum(seen.method == "POST" and seen.url.endswith(path) for seen in visitor.requests)


async def test_the_conversation_begins_with_the_welcome_that_was_shown(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    await chat.page.get_by_label("Language").select_option("sv")
    await expect(chat.replies).to_have_text(["Hej! Vad vill du veta?"])
    assert posts(visitor, "") == 0

    await chat.send("Hej")

    (await fake_model.next_reply()).finish()
    await expect(chat.button("Skicka")).to_be_visible()
    assert await chat.evaluate(HISTORY) == ["Hej! Vad vill du veta?", "Hej", ""]


async def test_two_tabs_that_send_at_once_share_one_conversation(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("409")
    other = await visitor.open()
    await chat.box.fill("One")
    await other.box.fill("Two")

    await asyncio.gather(chat.box.press("Enter"), other.box.press("Enter"))

    model_reply = await fake_model.next_reply()
    accepted = model_reply.prompt.messages[-1].text
    first, second = (chat, other) if accepted == "One" else (other, chat)
    await expect(second.box).to_have_value({"One": "Two", "Two": "One"}[accepted])
    model_reply.send_text("Here.")
    model_reply.finish()
    for tab in (first, second):
        await tab.expect_reply("Here.")
        await expect(tab.questions).to_have_text([accepted])
    assert posts(visitor, "/api/sessions") == 1
    assert fake_model.call_count == 1


async def test_a_rejected_message_is_not_lost_to_a_late_history(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("409")
    other = await visitor.open()
    history, message = HeldRoute(), HeldRoute(status=409, json={"code": "turn_in_progress"})
    await chat.page.route(HISTORY_URL, history.hold)
    await chat.page.route(MESSAGE_URL, message.hold)

    await other.send("Two")
    await history.held.wait()
    await chat.send("One")
    await message.held.wait()
    (await fake_model.next_reply()).finish()
    await expect(other.button("Send")).to_be_visible()
    async with chat.page.expect_response(HISTORY_URL) as late:
        history.released.set()
    await (await late.value).finished()
    message.released.set()

    await expect(chat.box).to_have_value("One")
    await expect(chat.questions).to_have_text(["Two"])


@pytest.mark.parametrize("path", ["/api/sessions", "/api/chat"])
async def test_a_lost_response_repeats_nothing(
    visitor: Visitor, chat: Chat, fake_model: FakeModel, path: str
) -> None:
    visitor.expect_problems("ERR_CONNECTION_RESET")

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort("connectionreset")

    await visitor.context.route(f"**{path}", lose, times=1)
    await chat.send("Hello?")

    model_reply = await fake_model.next_reply()
    model_reply.send_text("Here.")
    model_reply.finish()
    await chat.expect_reply("Here.")
    await expect(chat.questions).to_have_text(["Hello?"])
    assert await chat.evaluate(HISTORY) == [WELCOME, "Hello?", "Here."]
    assert posts(visitor, path) == 2
    assert fake_model.call_count == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_message_for_which_no_conversation_can_be_created_returns_to_the_box(
    visitor: Visitor, chat: Chat, fake_model: FakeModel, status: int
) -> None:
    visitor.expect_problems(str(status))
    code = {429: "too_many_requests", 503: "store_unavailable"}[status]
    refused: asyncio.Queue[Route] = asyncio.Queue()
    await visitor.context.route("**/api/sessions", refused.put, times=1)
    await chat.send("Hello?")
    route = await refused.get()
    await chat.box.fill("And this?")
    problem = json.dumps({"code": code, "detail": "", "status": status})
    await route.fulfill(status=status, content_type="application/problem+json", body=problem)

    await expect(chat.notice).not_to_have_text("")
    await expect(chat.box).to_have_value("Hello?\nAnd this?")
    await expect(chat.replies).to_have_text([WELCOME])

    await chat.box.press("Enter")
    (await fake_model.next_reply()).finish()
    await expect(chat.questions).to_have_text(["Hello?\nAnd this?"])


async def test_the_browser_asks_before_an_unaccepted_message_is_left(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    held: asyncio.Queue[Route] = asyncio.Queue()
    asked: asyncio.Queue[Dialog] = asyncio.Queue()
    await visitor.context.route("**/api/chat", held.put, times=1)
    chat.page.on("dialog", asked.put_nowait)
    await chat.send("Hello?")
    route = await held.get()
    await chat.evaluate("() => { setTimeout(() => location.reload()); }")
    async with asyncio.timeout(20):
        dialog = await asked.get()
    await dialog.dismiss()
    await route.continue_()

    model_reply = await fake_model.next_reply()
    model_reply.send_text("Here.")
    await expect(chat.replies.last).to_have_text("Here.")
    await chat.page.reload()

    await expect(chat.replies.last).to_have_text("Here.")
    await expect(chat.questions).to_have_text(["Hello?"])
    assert dialog.type == "beforeunload"
    assert asked.empty()


async def test_a_reload_before_the_message_was_sent_shows_the_welcome_once(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    held: asyncio.Queue[Route] = asyncio.Queue()
    await visitor.context.route("**/api/chat", held.put, times=1)
    await chat.send("Hello?")
    await held.get()
    await chat.page.reload()
    await expect(chat.replies).to_have_text([WELCOME])

    await chat.send("Hello?")

    (await fake_model.next_reply()).finish()
    await expect(chat.button("Send")).to_be_visible()
    assert await chat.evaluate(HISTORY) == [WELCOME, "Hello?", ""]
    assert posts(visitor, "/api/sessions") == 1


async def test_an_expired_conversation_is_replaced_by_the_welcome(
    visitor: Visitor, chat: Chat
) -> None:
    visitor.expect_problems("404")
    await chat.evaluate("id => localStorage.setItem('privity.session', id)", str(uuid4()))

    await chat.page.reload()

    await expect(chat.replies).to_have_text([WELCOME])
    await expect(chat.notice).to_have_text("")
    assert posts(visitor, "") == 0
    assert await visitor.context.cookies() == []


async def test_a_message_sent_before_the_history_was_loaded_does_not_hide_it(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("ERR_CONNECTION_RESET")
    (await start_reply(chat, fake_model)).finish()
    await chat.expect_reply("The first half,")
    await visitor.context.route("**/api/chat?*", lambda route: route.abort("connectionreset"))
    await chat.page.reload()
    await expect(chat.status).to_have_text("Connection lost. Trying again …")
    await chat.send("More?")
    model_reply = await fake_model.next_reply()
    await visitor.context.unroute("**/api/chat?*")
    model_reply.send_text("More.")
    model_reply.finish()

    await chat.expect_reply("More.")
    await expect(chat.questions).to_have_text(["Hello", "More?"])
    await expect(chat.replies).to_have_text([WELCOME, "The first half,", "More."])


async def test_a_new_conversation_in_one_tab_is_followed_by_the_other(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("413")
    other = await visitor.open()
    (await start_reply(chat, fake_model)).finish()
    await other.expect_reply("The first half,")
    full = json.dumps({"code": "conversation_full", "detail": "", "status": 413})
    kind = "application/problem+json"
    refuse = {"status": 413, "content_type": kind, "body": full}
    await visitor.context.route("**/api/chat", lambda route: route.fulfill(**refuse), times=1)
    await chat.send("More?")
    await chat.button("New conversation").click()

    for tab in (chat, other):
        await expect(tab.replies).to_have_text([WELCOME])
        await expect(tab.questions).to_have_count(0)
        await expect(tab.notice).to_have_text("")
    await expect(chat.box).to_have_value("More?")


async def test_a_message_that_is_too_long_for_the_model_stays_in_the_box(
    visitor: Visitor, chat: Chat
) -> None:
    visitor.expect_problems("413")
    too_long = json.dumps({"code": "message_too_long", "detail": "", "status": 413})
    refuse = {"status": 413, "content_type": "application/problem+json", "body": too_long}
    await visitor.context.route("**/api/chat", lambda route: route.fulfill(**refuse), times=1)
    await chat.send("A long story")

    await expect(chat.notice).to_have_text("The message is too long. Please shorten it.")
    await expect(chat.box).to_have_value("A long story")
    await expect(chat.questions).to_have_count(0)
