"""Retention, export and deletion of a conversation."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.browser import CUT, Chat, Visitor
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def exchange(chat: Chat, fake_model: FakeModel) -> str:
    """A message and its reply; returns the session id."""
    await chat.send("My secret")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("It is safe.")
    model_reply.finish()
    await chat.expect_reply("It is safe.")
    return str(await chat.evaluate("localStorage.getItem('privity.session')"))


def parsed(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


async def status_of(chat: Chat, session_id: str) -> int:
    """The status of the conversation's history for this browser."""
    fetch_status = "id => fetch(`api/chat?sessionId=${id}`).then(answer => answer.status)"
    return int(await chat.evaluate(fetch_status, session_id))


async def test_the_timer_counts_down_by_the_servers_clock(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    await visitor.context.clock.install(time=datetime(2001, 1, 1, tzinfo=UTC))
    chat = await visitor.open()
    await exchange(chat, fake_model)
    await expect(chat.page.get_by_text("Sealed for this browser.")).to_be_visible()
    await expect(chat.timer).to_contain_text("Forgotten in 23 hr 59 min")

    await chat.page.clock.fast_forward("05:00")

    await expect(chat.timer).to_contain_text("Forgotten in 23 hr 54 min")


async def test_a_turn_extends_the_retention_when_it_begins_even_if_it_fails(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems(CUT)
    await expect(chat.page.get_by_text("Nothing is kept.")).to_be_visible()
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    await expect(chat.timer).to_contain_text("Forgotten in 23 hr 59 min.")

    async with chat.page.expect_request(lambda request: request.url.endswith("&limit=1")):
        model_reply.fail()

    await expect(chat.notice).not_to_have_text("")
    await expect(chat.timer).to_contain_text("Forgotten in 23 hr 59 min.")


async def test_an_expired_conversation_is_not_requested_again(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    visitor.expect_problems("404")
    await visitor.context.clock.install()
    chat = await visitor.open()
    session_id = await exchange(chat, fake_model)
    await chat.evaluate("id => fetch(`api/chat/${id}`, {method: 'DELETE'})", session_id)

    await chat.page.clock.fast_forward("24:00:01")

    await expect(chat.notice).to_have_text("This conversation has been forgotten.")
    await expect(chat.messages).to_have_count(0)


async def test_forget_now_deletes_after_one_confirmation(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("404")
    session_id = await exchange(chat, fake_model)
    await chat.button("Forget now").click()
    await expect(chat.button("Keep")).to_be_focused()
    await chat.button("Keep").click()
    assert await status_of(chat, session_id) == 200

    await chat.forget()

    await expect(chat.notice).to_have_text(
        "The conversation has been forgotten. Nothing is left of it."
    )
    await expect(chat.messages).to_have_count(0)
    await expect(chat.page.get_by_text("Nothing is kept.")).to_be_visible()
    assert await status_of(chat, session_id) == 404
    assert "secret" not in await chat.page.content()


async def test_after_forgetting_a_new_conversation_begins(
    chat: Chat, fake_model: FakeModel
) -> None:
    before = await exchange(chat, fake_model)
    await chat.forget()
    await chat.button("New conversation").click()
    await expect(chat.replies).to_have_text(["Hello! What would you like to know?"])

    after = await exchange(chat, fake_model)

    assert after != before
    await expect(chat.questions).to_have_text(["My secret"])


async def test_forgetting_in_one_tab_clears_the_other_tab(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    # The other tab may be loading the history at that moment.
    visitor.expect_problems("404")
    other = await visitor.open()
    await exchange(chat, fake_model)
    await other.expect_reply("It is safe.")

    await chat.forget()

    await expect(other.notice).to_have_text("This conversation has been forgotten.")
    await expect(other.messages).to_have_count(0)
    await other.button("New conversation").click()
    await expect(other.replies).to_have_text(["Hello! What would you like to know?"])
    await exchange(other, fake_model)
    await expect(chat.questions).to_have_text(["My secret"])
    await expect(chat.notice).to_have_text("")


async def test_forgetting_during_a_reply_ends_it(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("I will")
    await expect(chat.replies.last).to_have_text("I will")

    await chat.forget()

    await expect(chat.notice).to_contain_text("The conversation has been forgotten.")
    async with asyncio.timeout(15):
        await model_reply.closed.wait()
    await expect(chat.messages).to_have_count(0)


async def test_forget_everything_deletes_the_client_key(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("404")
    session_id = await exchange(chat, fake_model)
    assert [cookie["name"] for cookie in await visitor.context.cookies()] == ["privity"]

    await chat.forget("Forget everything here")

    await expect(chat.notice).to_contain_text("Everything in this browser has been forgotten.")
    assert await visitor.context.cookies() == []
    assert await chat.evaluate("localStorage.length + sessionStorage.length") == 0
    assert await status_of(chat, session_id) == 404
    await expect(chat.messages).to_have_count(0)


async def test_a_conversation_is_exported_as_a_file(chat: Chat, fake_model: FakeModel) -> None:
    session_id = await exchange(chat, fake_model)

    async with chat.page.expect_download() as download:
        await chat.button("Export").click()

    file = await download.value
    document = parsed(await file.path())
    assert file.suggested_filename == "conversation.json"
    assert document["sessionId"] == session_id
    assert document["messages"][1]["parts"] == [{"type": "text", "text": "My secret"}]


async def test_a_failed_deletion_is_not_reported_as_done(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("ERR_INTERNET_DISCONNECTED")
    session_id = await exchange(chat, fake_model)
    await visitor.context.set_offline(True)

    await chat.forget()

    await expect(chat.notice).to_have_text("The service cannot be reached. Try again.")
    await expect(chat.questions).to_have_text(["My secret"])
    await visitor.context.set_offline(False)
    assert await status_of(chat, session_id) == 200
