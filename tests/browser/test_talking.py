"""Sending messages and reading replies."""

import pytest
from playwright.async_api import Browser, expect

from entrypoints.settings import Settings
from ports.language_model import ModelBusy
from tests.support.browser import CUT, Chat, Visitor, visiting
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.service import running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_reply_is_shown_while_it_streams(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    await expect(chat.status).to_have_text("The assistant is writing …")
    model_reply.send_text("It is", " coming")

    await expect(chat.replies.last).to_have_text("It is coming")
    await expect(chat.button("Stop")).to_be_visible()

    model_reply.send_text(" now.")
    model_reply.finish()
    await chat.expect_reply("It is coming now.")
    await expect(chat.status).to_have_text("")
    await expect(chat.questions).to_have_text(["Hello"])


async def test_the_welcome_is_in_the_visitors_language(chat: Chat) -> None:
    await expect(chat.messages).to_have_count(1)
    await expect(chat.replies).to_have_text(["Hello! What would you like to know?"])


async def test_shift_enter_inserts_a_new_line(chat: Chat, fake_model: FakeModel) -> None:
    await chat.box.press_sequentially("One")
    await chat.box.press("Shift+Enter")
    await chat.box.press_sequentially("two")
    await chat.box.press("Enter")

    prompt = (await fake_model.next_reply()).prompt
    assert prompt.messages[-1].text == "One\ntwo"
    await expect(chat.box).to_have_value("")


async def test_a_blank_message_is_not_sent(chat: Chat) -> None:
    await chat.send("  \n ")

    await expect(chat.messages).to_have_count(1)


async def test_a_message_that_is_too_long_is_kept_and_the_limit_is_named(chat: Chat) -> None:
    await chat.send("🙂" * 8_001)

    await expect(chat.notice).to_contain_text("at most 8,000 characters")
    await expect(chat.box).to_have_value("🙂" * 8_001)
    await expect(chat.questions).to_have_count(0)


async def test_the_longest_message_is_sent_whole(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("🙂" * 8_000)

    prompt = (await fake_model.next_reply()).prompt
    assert prompt.messages[-1].text == "🙂" * 8_000


async def test_a_stopped_reply_keeps_its_text(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("So far")
    await expect(chat.replies.last).to_have_text("So far")

    await chat.button("Stop").click()

    await expect(chat.messages.last).to_contain_text("Stopped.")
    await chat.expect_reply("So far")
    await expect(chat.box).to_be_focused()


async def test_another_reply_replaces_the_first(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Hello")
    first = await fake_model.next_reply()
    first.send_text("First")
    first.finish()
    await chat.button("Answer again").click()
    second = await fake_model.next_reply()
    second.send_text("Second")
    second.finish()

    await chat.expect_reply("Second")
    await expect(chat.replies).to_have_count(2)
    assert [message.text for message in second.prompt.messages][-1] == "Hello"


async def test_the_last_message_can_be_edited(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Helo")
    first = await fake_model.next_reply()
    first.send_text("What?")
    first.finish()
    await chat.expect_reply("What?")
    await chat.questions.last.hover()
    await chat.button("Edit").click()
    await expect(chat.box).to_have_value("Helo")

    await chat.send("Hello")

    second = await fake_model.next_reply()
    second.send_text("Hello!")
    second.finish()
    await chat.expect_reply("Hello!")
    await expect(chat.questions).to_have_text(["Hello"])
    assert "Helo" not in [message.text for message in second.prompt.messages]


async def test_escape_cancels_an_edit(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Hello")
    (await fake_model.next_reply()).finish()
    await expect(chat.button("Send")).to_be_visible()
    await chat.questions.last.hover()
    await chat.button("Edit").click()

    await chat.box.press("Escape")

    await expect(chat.box).to_have_value("")
    await expect(chat.button("Cancel")).to_be_hidden()


async def test_a_reply_can_be_copied(visitor: Visitor, chat: Chat, fake_model: FakeModel) -> None:
    await visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("**Copy** me")
    model_reply.finish()
    await chat.expect_reply("Copy me")

    await chat.messages.last.get_by_role("button", name="Copy").click()

    await expect(chat.messages.last.get_by_role("button", name="Copied")).to_be_visible()
    assert await chat.evaluate("navigator.clipboard.readText()") == "**Copy** me"


async def test_a_failing_model_is_explained_and_can_be_retried(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems(CUT)
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("I wanted")
    model_reply.fail(ModelBusy())
    await expect(chat.notice).to_have_text("The assistant is busy. Try again in a moment.")

    await chat.button("Answer again").click()

    again = await fake_model.next_reply()
    again.send_text("Here I am.")
    again.finish()
    await chat.expect_reply("Here I am.")
    await expect(chat.notice).to_have_text("")
    await expect(chat.questions).to_have_text(["Hello"])


async def test_a_failure_before_the_first_word_is_explained_once(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems(CUT)
    await chat.send("Hello")
    (await fake_model.next_reply()).fail(ModelBusy())
    await expect(chat.notice).to_have_text("The assistant is busy. Try again in a moment.")

    for _ in range(2):
        await expect(chat.messages.last).to_contain_text("Hello")
        await expect(chat.button("Answer again")).to_have_count(0)
        await expect(chat.page.locator(".ending:visible")).to_have_count(0)
        await chat.page.reload()
        await expect(chat.notice).not_to_have_text("")
    await chat.button("Try again").click()
    again = await fake_model.next_reply()
    again.send_text("Here I am.")
    again.finish()
    await chat.expect_reply("Here I am.")


async def test_a_rejected_message_returns_to_the_box(browser: Browser) -> None:
    sparing = Settings(stored_bytes_per_hour=15_000)
    async with (
        running_service(sparing, model=EchoModel()) as service,
        visiting(browser, service.url) as visitor,
    ):
        visitor.expect_problems("429")
        chat = await visitor.open()
        await chat.send("x" * 6_000)
        await chat.expect_reply("x" * 6_000)

        await chat.send("y" * 6_000)

        await expect(chat.notice).to_contain_text("Too many messages.")
        await expect(chat.box).to_have_value("y" * 6_000)
        await expect(chat.questions).to_have_count(1)


async def test_only_the_messages_scroll_and_never_the_page(
    chat: Chat, fake_model: FakeModel
) -> None:
    for _ in range(2):
        await chat.send("Tell me more.")
        model_reply = await fake_model.next_reply()
        model_reply.send_text("A line.\n\n" * 30)
        model_reply.finish()
        await chat.expect_reply("A line." * 30)

    heights = await chat.evaluate("[document.documentElement.scrollHeight, innerHeight]")
    assert heights[0] == heights[1]
    log = chat.page.get_by_role("region", name="Conversation")
    assert await log.evaluate("log => log.scrollHeight > log.clientHeight")


async def test_a_reader_who_scrolled_up_stays_there(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Tell me much")
    model_reply = await fake_model.next_reply()
    model_reply.send_text(*(f"Paragraph {number}.\n\n" for number in range(40)))
    await expect(chat.replies.last).to_contain_text("Paragraph 39.")
    log = chat.page.get_by_role("region", name="Conversation")
    await expect(chat.replies.last.get_by_text("Paragraph 39.")).to_be_in_viewport()

    await log.evaluate("log => { log.scrollTop = 0; }")
    await expect(chat.button("Newest")).to_be_visible()
    model_reply.send_text("And one more.")
    await expect(chat.replies.last).to_contain_text("And one more.")

    assert await log.evaluate("log => log.scrollTop") == 0
    await chat.button("Newest").click()
    await expect(chat.replies.last.get_by_text("And one more.")).to_be_in_viewport()
    await expect(chat.button("Newest")).to_be_hidden()
