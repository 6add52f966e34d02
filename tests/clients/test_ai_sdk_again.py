"""``useChat``: saying it anew, asking again, and trying once more what went wrong."""

import pytest

from tests.support.fake_model import Puppet
from tests.support.use_chat_page import Page, begun, exchange, heard, ids_of, kept, replied, shown

ONLY_7 = pytest.mark.parametrize("major", ["7"], indirect=True)


async def test_an_edit_replaces_the_message_and_all_after_it(page: Page, puppet: Puppet) -> None:
    await page.open()
    await exchange(page, puppet, "One", "First")
    await exchange(page, puppet, "Two", "Second")
    first = (await page.state())["messages"][0]["id"]
    await page.send("Eins", messageId=first)
    speaking = await replied(page, puppet, "Erstens")

    assert heard(speaking) == [("user", "Eins")]
    state = await page.state()
    assert shown(state) == shown(await kept(page)) == [("user", "Eins"), ("assistant", "Erstens")]
    assert ids_of(state) == ids_of(await kept(page))
    assert state["messages"][-1]["metadata"]["restarted"] is False


@pytest.mark.parametrize("named", [False, True], ids=["the newest", "by its id"])
async def test_a_reply_can_be_asked_for_again(page: Page, puppet: Puppet, *, named: bool) -> None:
    await page.open()
    await exchange(page, puppet, "One", "First")
    reply = (await page.state())["messages"][-1]["id"]
    await page.regenerate(**({"messageId": reply} if named else {}))
    speaking = await replied(page, puppet, "Anew")

    assert heard(speaking) == [("user", "One")]
    assert shown(await page.state()) == [("user", "One"), ("assistant", "Anew")]
    assert ids_of(await kept(page)) == ids_of(await page.state())


@ONLY_7
async def test_an_older_reply_can_be_asked_for_again_and_what_followed_is_gone(
    page: Page, puppet: Puppet
) -> None:
    await page.open()
    await exchange(page, puppet, "One", "First")
    await exchange(page, puppet, "Two", "Second")
    await page.regenerate(messageId=(await page.state())["messages"][1]["id"])
    await replied(page, puppet, "Anew")

    assert shown(await kept(page)) == [("user", "One"), ("assistant", "Anew")]


async def test_a_reply_that_failed_is_an_error_and_can_be_tried_again(
    page: Page, puppet: Puppet
) -> None:
    await page.open()
    speaking = await begun(page, puppet, "One", "Fir")
    speaking.fail()
    failed = await page.until(status="error")
    await page.regenerate()
    again = await replied(page, puppet, "First")

    assert failed["error"] == "The language model failed."
    assert heard(again) == [("user", "One")]
    assert shown(await page.state()) == [("user", "One"), ("assistant", "First")]
    assert shown(await kept(page)) == [("user", "One"), ("assistant", "First")]


@ONLY_7
async def test_a_message_that_never_arrived_is_sent_by_trying_again(
    page: Page, puppet: Puppet
) -> None:
    lost = {"id": "lost", "role": "user", "parts": [{"type": "text", "text": "Two"}]}
    await page.open()
    await exchange(page, puppet, "One", "First")
    await page.show([*(await page.state())["messages"], lost])
    await page.regenerate()
    speaking = await replied(page, puppet, "Second")

    assert heard(speaking) == [("user", "One"), ("assistant", "First"), ("user", "Two")]
    assert ids_of(await kept(page)) == ids_of(await page.state())


@ONLY_7
async def test_a_message_that_never_arrived_can_be_edited(page: Page, puppet: Puppet) -> None:
    lost = {"id": "lost", "role": "user", "parts": [{"type": "text", "text": "Too long"}]}
    await page.open()
    await exchange(page, puppet, "One", "First")
    await page.show([*(await page.state())["messages"], lost])
    await page.send("Two", messageId="lost")
    speaking = await replied(page, puppet, "Second")

    assert heard(speaking) == [("user", "One"), ("assistant", "First"), ("user", "Two")]


@ONLY_7
async def test_ids_that_cannot_be_kept_still_serve_the_client(page: Page, puppet: Puppet) -> None:
    odd = {"id": "chat:1/ä", "role": "user", "parts": [{"type": "text", "text": "One"}]}
    await page.open()
    await page.show([odd])
    await page.regenerate()
    await replied(page, puppet, "First")
    await page.send("Eins", messageId="chat:1/ä")
    speaking = await replied(page, puppet, "Erstens")

    assert heard(speaking) == [("user", "Eins")]
    assert len((await kept(page))["messages"]) == 2
