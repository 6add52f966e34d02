"""The same conversation in several tabs, and in a program at the same time."""

import pytest
from playwright.async_api import expect

from tests.support.browser import SEND, Chat, Visitor, start_reply
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")
ELSEWHERE = "A reply requested in another tab is being written."


async def test_another_tab_shows_the_running_reply_and_says_where_it_was_requested(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    model_reply = await start_reply(chat, fake_model)

    other = await visitor.open()

    await expect(other.replies.last).to_have_text("The first half,")
    await expect(other.status).to_have_text(ELSEWHERE)
    await expect(chat.status).to_have_text("The assistant is writing …")
    model_reply.send_text(" and the second.")
    model_reply.finish()
    for tab in (chat, other):
        await tab.expect_reply("The first half, and the second.")


async def test_an_open_tab_follows_a_reply_requested_in_another_tab(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    other = await visitor.open()
    model_reply = await start_reply(chat, fake_model)
    await expect(other.replies.last).to_have_text("The first half,")
    await expect(other.questions).to_have_text(["Hello"])
    await expect(other.status).to_have_text(ELSEWHERE)

    await other.button("Stop").click()

    for tab in (chat, other):
        await expect(tab.messages.last).to_contain_text("Stopped.")
    await other.send("And now?")
    await expect(chat.questions).to_have_text(["Hello", "And now?"])
    await expect(chat.status).to_have_text(ELSEWHERE)
    assert not model_reply.prompt.messages[-1].text.startswith("And")


async def test_a_message_sent_during_another_reply_stays_in_the_box(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("409")
    (await start_reply(chat, fake_model)).finish()
    await chat.expect_reply("The first half,")
    # A program with the same client key, of which no tab is notified.
    await chat.evaluate(SEND, "From a program")
    model_reply = await fake_model.next_reply()

    await chat.send("And I")

    await expect(chat.status).to_have_text(ELSEWHERE)
    await expect(chat.box).to_have_value("And I")
    await expect(chat.questions).to_have_text(["Hello", "From a program"])
    model_reply.send_text("Done.")
    model_reply.finish()
    await chat.expect_reply("Done.")
    await expect(chat.notice).to_have_text("")
