"""A conversation that is full goes on in a new one, in every tab."""

import json

import pytest
from playwright.async_api import expect

from tests.support.browser import Chat, Visitor, start_reply
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")
WELCOME = "Hello! What would you like to know?"
GO_ON = "Go on in a new conversation"
SESSION = "() => localStorage.getItem('privity.session')"


async def refuse(visitor: Visitor, path: str, code: str, status: int) -> None:
    """Answer the next request to this path with a problem."""
    visitor.expect_problems(str(status))
    body = json.dumps({"code": code, "detail": "", "status": status})
    problem = {"status": status, "content_type": "application/problem+json", "body": body}
    await visitor.context.route(f"**{path}", lambda route: route.fulfill(**problem), times=1)


async def until_full(visitor: Visitor, chat: Chat, fake_model: FakeModel) -> None:
    """The conversation has a question with its reply, and has refused another question."""
    (await start_reply(chat, fake_model)).finish()
    await chat.expect_reply("The first half,")
    await refuse(visitor, "/api/chat", "conversation_full", 413)
    await chat.send("More?")
    await expect(chat.button(GO_ON)).to_be_visible()


async def test_it_goes_on_in_all_tabs_and_the_text_stays_in_the_box(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    other = await visitor.open()
    await until_full(visitor, chat, fake_model)
    before = await chat.evaluate(SESSION)
    await chat.button(GO_ON).click()

    await expect(chat.notice).to_have_text("This new conversation continues the earlier one.")
    await expect(chat.box).to_have_value("More?")
    await expect(chat.box).to_be_focused()
    after = await chat.evaluate(SESSION)
    assert after != before
    for tab in (chat, other):
        await expect(tab.questions).to_have_text(["Hello"])
        await expect(tab.replies).to_have_text([WELCOME, "The first half,"])
    await chat.box.press("Enter")
    model_reply = await fake_model.next_reply()
    assert [message.text for message in model_reply.prompt.messages] == [
        "Hello",
        "The first half,",
        "More?",
    ]
    model_reply.send_text("More.")
    model_reply.finish()
    for tab in (chat, other):
        await tab.expect_reply("More.")
        await expect(tab.questions).to_have_text(["Hello", "More?"])
    assert await other.evaluate(SESSION) == after


async def test_if_it_fails_it_can_be_tried_again(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    await until_full(visitor, chat, fake_model)
    before = await chat.evaluate(SESSION)
    await refuse(visitor, "/api/sessions", "model_busy", 503)
    await chat.button(GO_ON).click()
    await expect(chat.notice).to_have_text("The assistant is busy. Try again in a moment.")
    assert await chat.evaluate(SESSION) == before

    await chat.button(GO_ON).click()

    await expect(chat.notice).to_have_text("This new conversation continues the earlier one.")
    await expect(chat.button(GO_ON)).to_be_hidden()
    await expect(chat.status).to_have_text("")
    assert await chat.evaluate(SESSION) != before


@pytest.mark.parametrize("width", [360, 1_280])
async def test_the_notice_fits_the_window(
    visitor: Visitor, chat: Chat, fake_model: FakeModel, width: int
) -> None:
    await chat.page.set_viewport_size({"width": width, "height": 640})
    await until_full(visitor, chat, fake_model)

    assert await chat.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for button in (chat.button(GO_ON), chat.button("New conversation"), chat.button("Dismiss")):
        await expect(button).to_be_in_viewport()
