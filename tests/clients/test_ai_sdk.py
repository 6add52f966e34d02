"""``useChat`` with its transport as it comes, against the real service."""

import pytest

from tests.clients.pages import Page, ids_of, kinds, shown, text_of
from tests.e2e.puppet import Puppet

ONLY_7 = pytest.mark.parametrize("major", ["7"], indirect=True)


async def exchange(page: Page, puppet: Puppet, said: str, *reply: str) -> None:
    """Something said on the page, and the whole reply to it."""
    before = len((await page.state())["finishes"])
    await page.send(said)
    speaking = await puppet.asked()
    speaking.say(*reply)
    speaking.finish()
    await page.until(status="ready", text=reply[-1])
    assert len((await page.state())["finishes"]) == before + 1


async def test_a_message_is_answered_and_the_reply_streams(page: Page, puppet: Puppet) -> None:
    await page.open()
    await page.send("Hello?")
    speaking = await puppet.asked()
    speaking.say("Hi", " there")
    streaming = await page.until(status="streaming", text="there")
    speaking.finish()
    state = await page.until(status="ready")

    assert text_of(streaming["messages"][-1]) == "Hi there"
    assert shown(state) == [("user", "Hello?"), ("assistant", "Hi there")]
    assert state["messages"][-1]["parts"][-1]["state"] == "done"
    assert state["errors"] == []
    assert not any(state["finishes"][0].get(name) for name in ("isAbort", "isError"))


async def test_the_server_names_its_messages_and_keeps_the_names_of_the_client(
    page: Page, puppet: Puppet
) -> None:
    await page.open()
    await exchange(page, puppet, "Hello?", "Hi")
    state = await page.state()
    history = (await page.fetch(f"/api/chat/{state['id']}"))["body"]

    assert ids_of(history) == ids_of(state)
    assert state["messages"][-1]["id"].startswith("msg_")


async def test_the_session_and_its_end_are_in_the_metadata(page: Page, puppet: Puppet) -> None:
    await page.open()
    await exchange(page, puppet, "Hello?", "Hi")
    state = await page.state()

    told = state["messages"][-1]["metadata"]
    history = await page.fetch(f"/api/chat/{state['id']}")
    assert (told["sessionId"], told["restarted"]) == (history["body"]["sessionId"], False)
    assert told["usage"] == {"inputTokens": 7, "outputTokens": 3}
    assert told["expiresAt"] == history["body"]["expiresAt"]
    data = {"sessionId": told["sessionId"], "restarted": False}
    assert state["data"] == [{"type": "data-session", "data": data, "transient": True}]
    assert "data-session" not in kinds(state["messages"][-1])
