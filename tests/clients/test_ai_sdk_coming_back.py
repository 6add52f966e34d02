"""``useChat``: stopping, leaving, and coming back to a reply that goes on."""

import json
from typing import Any

import pytest

from tests.support.fake_model import Puppet
from tests.support.use_chat_page import Page, begun, exchange, heard, ids_of, kept, replied, shown

ONLY_7 = pytest.mark.parametrize("major", ["7"], indirect=True)
JSON = {"content-type": "application/json"}


async def stop(page: Page, **members: Any) -> dict[str, Any]:
    """What the app asks the service beyond the packages."""
    body = json.dumps(members)
    return await page.fetch("/api/chat/here/stop", method="POST", headers=JSON, body=body)


async def test_a_reload_shows_the_rest_of_a_reply(page: Page, puppet: Puppet) -> None:
    await page.open(id="here")
    await exchange(page, puppet, "One", "First")
    speaking = await begun(page, puppet, "Two", "Sec")
    history = await kept(page)
    await page.open(id="here", messages=history["messages"], resume=True)
    await page.until(status="streaming", text="Sec")
    speaking.say("ond")
    speaking.finish()
    state = await page.until(status="ready", text="Second")

    assert history["activeStreamId"] is not None
    assert shown(state)[2:] == [("user", "Two"), ("assistant", "Second")]
    assert ids_of(state) == ids_of(await kept(page))
    assert state["errors"] == []


async def test_coming_back_to_nothing_is_no_error(page: Page, puppet: Puppet) -> None:
    await page.open(id="here", resume=True)
    await page.until(status="ready", answered=1)
    await exchange(page, puppet, "One", "First")
    await page.open(id="here", messages=(await kept(page))["messages"], resume=True)
    state = await page.until(status="ready", answered=1)

    assert [request["status"] for request in state["requests"]] == [204]
    assert state["errors"] == []
    assert len(state["messages"]) == 2


@ONLY_7
async def test_a_page_that_react_mounts_twice_shows_a_reply_once(
    page: Page, puppet: Puppet
) -> None:
    await page.open(id="here")
    speaking = await begun(page, puppet, "One", "Fir")
    history = await kept(page)
    await page.open(id="here", messages=history["messages"], resume=True, strict=True)
    await page.until(status="streaming", text="Fir")
    speaking.say("st")
    speaking.finish()
    state = await page.until(status="ready", text="First")

    assert shown(state) == [("user", "One"), ("assistant", "First")]
    assert puppet.times_asked == 1


@ONLY_7
async def test_a_reply_that_the_page_already_shows_in_part_is_not_doubled(
    page: Page, puppet: Puppet
) -> None:
    await page.open(id="here")
    speaking = await begun(page, puppet, "One", "Fir")
    partly = (await page.state())["messages"]
    await page.open(id="here", messages=partly, resume=True)
    await page.until(status="streaming")
    speaking.say("st")
    speaking.finish()
    state = await page.until(status="ready", text="First")

    assert shown(state) == [("user", "One"), ("assistant", "First")]


async def test_hanging_up_leaves_the_reply_going(page: Page, puppet: Puppet) -> None:
    await page.open(id="here")
    speaking = await begun(page, puppet, "One", "Fir")
    await page.stop()
    hung_up = await page.until(status="ready")
    speaking.say("st")
    await page.open(id="here", messages=(await kept(page))["messages"], resume=True)
    await page.until(status="streaming", text="First")
    speaking.finish()
    state = await page.until(status="ready", text="First")

    assert hung_up["finishes"][-1].get("isAbort", True)
    assert shown(state) == [("user", "One"), ("assistant", "First")]


async def test_a_reply_can_be_stopped_for_good(page: Page, puppet: Puppet) -> None:
    await page.open(id="here")
    speaking = await begun(page, puppet, "One", "Fir")
    running = (await kept(page))["activeStreamId"]
    stopped = await stop(page, activeStreamId=running)
    state = await page.until(status="ready")
    await speaking.left.wait()

    assert stopped["body"] == {"success": True, "stopped": True}
    assert state["errors"] == []
    assert state["messages"][-1]["metadata"]["aborted"] is True
    history = await kept(page)
    assert (history["activeStreamId"], shown(history)[-1]) == (None, ("assistant", "Fir"))
    assert history["messages"][-1]["metadata"]["aborted"] is True
    assert state["messages"][-1]["parts"] == history["messages"][-1]["parts"]


@ONLY_7
async def test_a_late_stop_leaves_the_next_reply_alone(page: Page, puppet: Puppet) -> None:
    await page.open(id="here")
    speaking = await begun(page, puppet, "One", "Fir")
    stopped = await stop(page, activeStreamId="0" * 32, assistantMessage={"parts": []})
    speaking.say("st")
    speaking.finish()
    await page.until(status="ready", text="First")

    assert stopped["body"] == {"success": True, "stopped": False}


@ONLY_7
async def test_a_new_message_makes_a_running_reply_give_way(page: Page, puppet: Puppet) -> None:
    await page.open(id="here")
    await begun(page, puppet, "One", "Fir")
    await page.stop()
    await page.until(status="ready")
    await page.send("Two")
    speaking = await replied(page, puppet, "Second")

    assert heard(speaking) == [("user", "One"), ("assistant", "Fir"), ("user", "Two")]
    assert (await page.state())["errors"] == []


@ONLY_7
async def test_an_app_may_have_new_messages_refused_instead(page: Page, puppet: Puppet) -> None:
    await page.open(id="here")
    speaking = await begun(page, puppet, "One", "Fir")
    await page.stop()
    await page.until(status="ready")
    await page.send("Two", body={"onBusy": "reject"})
    state = await page.until(status="error")
    speaking.finish()

    assert "A reply is still being written in this conversation." in state["error"]
    assert state["requests"][-1]["status"] == 409
    assert [said["role"] for said in (await kept(page))["messages"]][:2] == ["user", "assistant"]


@ONLY_7
async def test_what_was_deleted_is_gone(page: Page, puppet: Puppet) -> None:
    await page.open(id="here")
    await exchange(page, puppet, "One", "First")
    deleted = [await page.fetch("/api/chat/here", method="DELETE") for _ in range(2)]
    read = await page.fetch("/api/chat/here")
    await page.open(id="here", resume=True)
    state = await page.until(status="ready", answered=1)

    assert [answer["status"] for answer in deleted] == [204, 204]
    assert (read["status"], read["body"]["code"]) == (404, "conversation_not_found")
    assert [request["status"] for request in state["requests"]] == [204]
