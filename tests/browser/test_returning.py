"""Going away in the middle and coming back: reloads, lost connections, other tabs."""

import pytest
from playwright.async_api import expect

from tests.browser.visiting import Chat, Visitor
from tests.e2e.puppet import Puppet, Speaking

pytestmark = pytest.mark.asyncio(loop_scope="session")
ELSEWHERE = "A reply is being written, asked for in another tab."


async def half_said(chat: Chat, puppet: Puppet) -> Speaking:
    """A reply in the middle."""
    await chat.say("Hello")
    speaking = await puppet.asked()
    speaking.say("The first half,")
    await expect(chat.replies.last).to_have_text("The first half,")
    return speaking


async def test_a_reload_in_the_middle_of_a_reply_goes_on_with_it(
    chat: Chat, puppet: Puppet
) -> None:
    speaking = await half_said(chat, puppet)

    await chat.page.reload()

    await expect(chat.replies.last).to_have_text("The first half,")
    await expect(chat.status).to_have_text("The assistant is writing …")
    speaking.say(" and the second.")
    speaking.finish()
    await chat.sees_reply("The first half, and the second.")
    await expect(chat.said).to_have_text(["Hello"])
    assert puppet.times_asked == 1


async def test_a_reload_afterwards_shows_what_was_said(chat: Chat, puppet: Puppet) -> None:
    speaking = await half_said(chat, puppet)
    speaking.finish()
    await chat.sees_reply("The first half,")

    await chat.page.reload()

    await chat.sees_reply("The first half,")
    await expect(chat.messages).to_have_count(3)


async def test_another_tab_shows_the_same_and_says_that_it_is_written_elsewhere(
    visitor: Visitor, chat: Chat, puppet: Puppet
) -> None:
    speaking = await half_said(chat, puppet)

    other = await visitor.open()

    await expect(other.replies.last).to_have_text("The first half,")
    await expect(other.status).to_have_text(ELSEWHERE)
    await expect(chat.status).to_have_text("The assistant is writing …")
    speaking.say(" and the second.")
    speaking.finish()
    for tab in (chat, other):
        await tab.sees_reply("The first half, and the second.")


async def test_a_tab_that_was_open_before_follows_what_another_asks(
    visitor: Visitor, chat: Chat, puppet: Puppet
) -> None:
    other = await visitor.open()
    speaking = await half_said(chat, puppet)
    await expect(other.replies.last).to_have_text("The first half,")
    await expect(other.said).to_have_text(["Hello"])
    await expect(other.status).to_have_text(ELSEWHERE)

    await other.button("Stop").click()

    for tab in (chat, other):
        await expect(tab.messages.last).to_contain_text("Stopped.")
    await other.say("And now?")
    await expect(chat.said).to_have_text(["Hello", "And now?"])
    await expect(chat.status).to_have_text(ELSEWHERE)
    assert not speaking.prompt.messages[-1].text.startswith("And")


async def test_without_a_network_it_says_so_and_catches_up_afterwards(
    visitor: Visitor, chat: Chat, puppet: Puppet
) -> None:
    visitor.forgive("ERR_INTERNET_DISCONNECTED")
    speaking = await half_said(chat, puppet)

    await visitor.context.set_offline(True)
    await expect(chat.status).to_contain_text("You are offline.")
    speaking.say(" and the second.")
    speaking.finish()
    await visitor.context.set_offline(False)

    await chat.sees_reply("The first half, and the second.")
    await expect(chat.status).to_have_text("")
    assert puppet.times_asked == 1


async def test_what_is_said_without_a_network_is_sent_once_when_it_is_back(
    visitor: Visitor, chat: Chat, puppet: Puppet
) -> None:
    visitor.forgive("ERR_INTERNET_DISCONNECTED")
    await visitor.context.set_offline(True)
    await chat.say("Hello?")
    await expect(chat.said).to_have_text(["Hello?"])
    await expect(chat.status).to_contain_text("You are offline.")

    await visitor.context.set_offline(False)

    speaking = await puppet.asked()
    speaking.say("Here.")
    speaking.finish()
    await chat.sees_reply("Here.")
    assert puppet.times_asked == 1


async def test_words_that_were_taken_back_before_they_were_sent_are_in_the_box_again(
    visitor: Visitor, chat: Chat
) -> None:
    visitor.forgive("ERR_INTERNET_DISCONNECTED")
    await visitor.context.set_offline(True)
    await chat.say("Hello?")

    await chat.button("Stop").click()

    await expect(chat.box).to_have_value("Hello?")
    await expect(chat.said).to_have_count(0)
    await visitor.context.set_offline(False)


async def test_nothing_that_was_said_is_kept_in_the_browser(chat: Chat, puppet: Puppet) -> None:
    await chat.say("My secret is teal.")
    speaking = await puppet.asked()
    speaking.say("I keep it.")
    speaking.finish()
    await chat.sees_reply("I keep it.")
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
