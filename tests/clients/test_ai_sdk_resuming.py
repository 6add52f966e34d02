"""``useChat``: stopping, disconnecting, and resuming a running reply."""

import json
from typing import Any

import pytest

from tests.support.fake_model import FakeModel
from tests.support.use_chat_page import (
    Page,
    complete_reply,
    exchange,
    ids_of,
    prompt_texts,
    shown,
    start_exchange,
    stored_state,
)

ONLY_7 = pytest.mark.parametrize("major", ["7"], indirect=True)
JSON = {"content-type": "application/json"}


async def stop(page: Page, **members: Any) -> dict[str, Any]:
    """Requests that the app itself sends to the service."""
    body = json.dumps(members)
    return await page.fetch("/api/chat/here/stop", method="POST", headers=JSON, body=body)


async def test_a_reload_shows_the_rest_of_a_reply(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    await exchange(page, fake_model, "One", "First")
    model_reply = await start_exchange(page, fake_model, "Two", "Sec")
    history = await stored_state(page)
    await page.open(id="here", messages=history["messages"], resume=True)
    await page.until(status="streaming", text="Sec")
    model_reply.send_text("ond")
    model_reply.finish()
    state = await page.until(status="ready", text="Second")

    assert history["activeStreamId"] is not None
    assert shown(state)[2:] == [("user", "Two"), ("assistant", "Second")]
    assert ids_of(state) == ids_of(await stored_state(page))
    assert state["errors"] == []


async def test_resuming_without_a_running_reply_is_no_error(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(id="here", resume=True)
    await page.until(status="ready", answered=1)
    await exchange(page, fake_model, "One", "First")
    await page.open(id="here", messages=(await stored_state(page))["messages"], resume=True)
    state = await page.until(status="ready", answered=1)

    assert [request["status"] for request in state["requests"]] == [204]
    assert state["errors"] == []
    assert len(state["messages"]) == 2


@ONLY_7
async def test_a_page_that_react_mounts_twice_shows_a_reply_once(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(id="here")
    model_reply = await start_exchange(page, fake_model, "One", "Fir")
    history = await stored_state(page)
    await page.open(id="here", messages=history["messages"], resume=True, strict=True)
    await page.until(status="streaming", text="Fir")
    model_reply.send_text("st")
    model_reply.finish()
    state = await page.until(status="ready", text="First")

    assert shown(state) == [("user", "One"), ("assistant", "First")]
    assert fake_model.call_count == 1


@ONLY_7
async def test_a_reply_that_the_page_shows_in_part_is_not_duplicated(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(id="here")
    model_reply = await start_exchange(page, fake_model, "One", "Fir")
    partly = (await page.state())["messages"]
    await page.open(id="here", messages=partly, resume=True)
    await page.until(status="streaming")
    model_reply.send_text("st")
    model_reply.finish()
    state = await page.until(status="ready", text="First")

    assert shown(state) == [("user", "One"), ("assistant", "First")]


async def test_disconnecting_does_not_stop_the_reply(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    model_reply = await start_exchange(page, fake_model, "One", "Fir")
    await page.stop()
    hung_up = await page.until(status="ready")
    model_reply.send_text("st")
    await page.open(id="here", messages=(await stored_state(page))["messages"], resume=True)
    await page.until(status="streaming", text="First")
    model_reply.finish()
    state = await page.until(status="ready", text="First")

    assert hung_up["finishes"][-1].get("isAbort", True)
    assert shown(state) == [("user", "One"), ("assistant", "First")]


async def test_a_reply_can_be_stopped_for_good(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    model_reply = await start_exchange(page, fake_model, "One", "Fir")
    running = (await stored_state(page))["activeStreamId"]
    stopped = await stop(page, activeStreamId=running)
    state = await page.until(status="ready")
    await model_reply.closed.wait()

    assert stopped["body"] == {"success": True, "stopped": True}
    assert state["errors"] == []
    assert state["messages"][-1]["metadata"]["aborted"] is True
    history = await stored_state(page)
    assert (history["activeStreamId"], shown(history)[-1]) == (None, ("assistant", "Fir"))
    assert history["messages"][-1]["metadata"]["aborted"] is True
    assert state["messages"][-1]["parts"] == history["messages"][-1]["parts"]


@ONLY_7
async def test_a_late_stop_does_not_stop_the_next_reply(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    model_reply = await start_exchange(page, fake_model, "One", "Fir")
    stopped = await stop(page, activeStreamId="0" * 32, assistantMessage={"parts": []})
    model_reply.send_text("st")
    model_reply.finish()
    await page.until(status="ready", text="First")

    assert stopped["body"] == {"success": True, "stopped": False}


@ONLY_7
async def test_a_new_message_interrupts_a_running_reply(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    await start_exchange(page, fake_model, "One", "Fir")
    await page.stop()
    await page.until(status="ready")
    await page.send("Two")
    model_reply = await complete_reply(page, fake_model, "Second")

    assert prompt_texts(model_reply) == [("user", "One"), ("assistant", "Fir"), ("user", "Two")]
    assert (await page.state())["errors"] == []


@ONLY_7
async def test_an_app_can_have_new_messages_rejected_instead(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(id="here")
    model_reply = await start_exchange(page, fake_model, "One", "Fir")
    await page.stop()
    await page.until(status="ready")
    await page.send("Two", body={"onBusy": "reject"})
    state = await page.until(status="error")
    model_reply.finish()

    assert "A reply is still being written in this conversation." in state["error"]
    assert state["requests"][-1]["status"] == 409
    assert [message["role"] for message in (await stored_state(page))["messages"]][:2] == [
        "user",
        "assistant",
    ]


@ONLY_7
async def test_a_deleted_chat_is_gone(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    await exchange(page, fake_model, "One", "First")
    deleted = [await page.fetch("/api/chat/here", method="DELETE") for _ in range(2)]
    read = await page.fetch("/api/chat/here")
    await page.open(id="here", resume=True)
    state = await page.until(status="ready", answered=1)

    assert [answer["status"] for answer in deleted] == [204, 204]
    assert (read["status"], read["body"]["code"]) == (404, "conversation_not_found")
    assert [request["status"] for request in state["requests"]] == [204]
