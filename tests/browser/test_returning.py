"""Returning to a conversation: reloads, lost connections, other tabs."""

import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import CUT, SEND_AND_WAIT, Chat, Visitor, start_reply, visiting
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.proxies import proxy_to
from tests.support.service import RunningService, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")
SESSION = "Promise.resolve(localStorage.getItem('privity.session'))"


async def test_a_reload_during_a_reply_continues_it(chat: Chat, fake_model: FakeModel) -> None:
    model_reply = await start_reply(chat, fake_model)

    await chat.page.reload()

    await expect(chat.replies.last).to_have_text("The first half,")
    await expect(chat.status).to_have_text("The assistant is writing …")
    model_reply.send_text(" and the second.")
    model_reply.finish()
    await chat.expect_reply("The first half, and the second.")
    await expect(chat.questions).to_have_text(["Hello"])
    assert fake_model.call_count == 1


async def test_a_reload_shows_the_history(chat: Chat, fake_model: FakeModel) -> None:
    model_reply = await start_reply(chat, fake_model)
    model_reply.finish()
    await chat.expect_reply("The first half,")

    await chat.page.reload()

    await chat.expect_reply("The first half,")
    await expect(chat.messages).to_have_count(3)


async def test_a_message_to_a_forgotten_conversation_begins_a_new_one(
    chat: Chat, fake_model: FakeModel
) -> None:
    model_reply = await start_reply(chat, fake_model)
    model_reply.finish()
    await chat.expect_reply("The first half,")
    await chat.evaluate(f"{SESSION}.then(id => fetch(`api/chat/${{id}}`, {{method: 'DELETE'}}))")

    await chat.send("Still there?")

    again = await fake_model.next_reply()
    again.finish()
    await expect(chat.notice).to_contain_text("This is a new one.")
    await expect(chat.questions).to_have_text(["Still there?"])
    assert len(again.prompt.messages) == 1


async def test_a_long_conversation_is_loaded_page_by_page(browser: Browser) -> None:
    async with (
        running_service(model=EchoModel()) as service,
        visiting(browser, service.url) as visitor,
    ):
        chat = await visitor.open()
        await chat.send("Message 0")
        await chat.expect_reply("Message 0")
        for number in range(1, 51):
            await chat.evaluate(SEND_AND_WAIT, f"Message {number}")
        await chat.page.reload()
        await expect(chat.messages).to_have_count(100)
        await chat.button("Earlier messages").click()

        await expect(chat.messages).to_have_count(103)
        await expect(chat.questions.first).to_have_text("Message 0")
        await expect(chat.button("Earlier messages")).to_be_hidden()


async def test_the_page_says_that_it_is_offline_and_catches_up_afterwards(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("ERR_INTERNET_DISCONNECTED")
    model_reply = await start_reply(chat, fake_model)

    await visitor.context.set_offline(True)
    await expect(chat.status).to_contain_text("You are offline.")
    model_reply.send_text(" and the second.")
    model_reply.finish()
    await visitor.context.set_offline(False)

    await chat.expect_reply("The first half, and the second.")
    await expect(chat.status).to_have_text("")
    assert fake_model.call_count == 1


async def test_a_broken_stream_is_resumed_where_it_broke(
    browser: Browser, service: RunningService, fake_model: FakeModel
) -> None:
    port = int(service.url.rpartition(":")[2])
    async with (
        proxy_to(port) as proxy,
        visiting(browser, f"http://127.0.0.1:{proxy.port}") as visitor,
    ):
        visitor.expect_problems(CUT, "ERR_CONNECTION")
        chat = await visitor.open()
        model_reply = await start_reply(chat, fake_model)
        proxy.cut()
        await expect(chat.status).to_have_text("Connection lost. Trying again …")

        model_reply.send_text(" and the second.")
        model_reply.finish()

        await chat.expect_reply("The first half, and the second.")
        cursors = [seen.headers.get("last-event-id", "") for seen in visitor.requests]
        assert [cursor.partition(".")[2] for cursor in cursors if cursor] == ["1"]
        assert fake_model.call_count == 1


async def test_a_message_sent_offline_is_sent_once_when_the_network_is_back(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("ERR_INTERNET_DISCONNECTED")
    await visitor.context.set_offline(True)
    await chat.send("Hello?")
    await expect(chat.questions).to_have_text(["Hello?"])
    await expect(chat.status).to_contain_text("You are offline.")

    await visitor.context.set_offline(False)

    model_reply = await fake_model.next_reply()
    model_reply.send_text("Here.")
    model_reply.finish()
    await chat.expect_reply("Here.")
    assert fake_model.call_count == 1


async def test_a_message_cancelled_before_it_was_sent_returns_to_the_box(
    visitor: Visitor, chat: Chat
) -> None:
    visitor.expect_problems("ERR_INTERNET_DISCONNECTED")
    await visitor.context.set_offline(True)
    await chat.send("Hello?")

    await chat.button("Stop").click()

    await expect(chat.box).to_have_value("Hello?")
    await expect(chat.questions).to_have_count(0)
    await visitor.context.set_offline(False)


async def test_no_message_is_stored_in_the_browser(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("My secret is teal.")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("I keep it.")
    model_reply.finish()
    await chat.expect_reply("I keep it.")
    await chat.box.fill("And another secret")

    kept = await chat.evaluate(
        """async () => JSON.stringify([
            {...localStorage}, {...sessionStorage}, document.cookie,
            await indexedDB.databases(), await caches.keys(), history.state])"""
    )

    assert "privity.session" in kept
    assert not any(word in kept for word in ("secret", "teal", "keep it", "ck_"))
    await chat.page.reload()
    await expect(chat.replies.last).to_have_text("I keep it.")
    await expect(chat.box).to_have_value("")
