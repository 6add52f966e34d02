"""``useChat``: editing, regenerating, and retrying failed requests."""

import json

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


async def test_an_edit_replaces_the_message_and_all_after_it(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open()
    await exchange(page, fake_model, "One", "First")
    await exchange(page, fake_model, "Two", "Second")
    first = (await page.state())["messages"][0]["id"]
    await page.send("Eins", messageId=first)
    model_reply = await complete_reply(page, fake_model, "Erstens")

    assert prompt_texts(model_reply) == [("user", "Eins")]
    state = await page.state()
    assert (
        shown(state)
        == shown(await stored_state(page))
        == [("user", "Eins"), ("assistant", "Erstens")]
    )
    assert ids_of(state) == ids_of(await stored_state(page))
    assert state["messages"][-1]["metadata"]["restarted"] is False


@pytest.mark.parametrize("named", [False, True], ids=["the newest", "by its id"])
async def test_a_reply_can_be_regenerated(
    page: Page, fake_model: FakeModel, *, named: bool
) -> None:
    await page.open()
    await exchange(page, fake_model, "One", "First")
    reply = (await page.state())["messages"][-1]["id"]
    await page.regenerate(**({"messageId": reply} if named else {}))
    model_reply = await complete_reply(page, fake_model, "Anew")

    assert prompt_texts(model_reply) == [("user", "One")]
    assert shown(await page.state()) == [("user", "One"), ("assistant", "Anew")]
    assert ids_of(await stored_state(page)) == ids_of(await page.state())


@ONLY_7
async def test_regenerating_an_older_reply_deletes_what_followed(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open()
    await exchange(page, fake_model, "One", "First")
    await exchange(page, fake_model, "Two", "Second")
    await page.regenerate(messageId=(await page.state())["messages"][1]["id"])
    await complete_reply(page, fake_model, "Anew")

    assert shown(await stored_state(page)) == [("user", "One"), ("assistant", "Anew")]


async def test_a_stale_tab_deletes_nothing_unless_it_forces_it(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open()
    await exchange(page, fake_model, "One", "First")
    stale = (await page.state())["messages"]
    await exchange(page, fake_model, "Two", "Second")
    await page.show(stale)
    await page.regenerate()
    refused = await page.until(status="error")
    kept = shown(await stored_state(page))
    await page.regenerate(body={"force": True})
    await complete_reply(page, fake_model, "Anew")

    assert json.loads(refused["error"])["code"] == "conversation_moved_on"
    assert [text for _, text in kept] == ["One", "First", "Two", "Second"]
    assert shown(await stored_state(page)) == [("user", "One"), ("assistant", "Anew")]


async def test_a_failed_reply_is_an_error_and_can_be_retried(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open()
    model_reply = await start_exchange(page, fake_model, "One", "Fir")
    model_reply.fail()
    failed = await page.until(status="error")
    await page.regenerate()
    again = await complete_reply(page, fake_model, "First")

    assert failed["error"] == "The language model failed."
    assert prompt_texts(again) == [("user", "One")]
    assert shown(await page.state()) == [("user", "One"), ("assistant", "First")]
    assert shown(await stored_state(page)) == [("user", "One"), ("assistant", "First")]


@ONLY_7
async def test_regenerating_sends_a_message_that_never_arrived(
    page: Page, fake_model: FakeModel
) -> None:
    lost = {"id": "lost", "role": "user", "parts": [{"type": "text", "text": "Two"}]}
    await page.open()
    await exchange(page, fake_model, "One", "First")
    await page.show([*(await page.state())["messages"], lost])
    await page.regenerate()
    model_reply = await complete_reply(page, fake_model, "Second")

    assert prompt_texts(model_reply) == [("user", "One"), ("assistant", "First"), ("user", "Two")]
    assert ids_of(await stored_state(page)) == ids_of(await page.state())


@ONLY_7
async def test_a_message_that_never_arrived_can_be_edited(
    page: Page, fake_model: FakeModel
) -> None:
    lost = {"id": "lost", "role": "user", "parts": [{"type": "text", "text": "Too long"}]}
    await page.open()
    await exchange(page, fake_model, "One", "First")
    await page.show([*(await page.state())["messages"], lost])
    await page.send("Two", messageId="lost")
    model_reply = await complete_reply(page, fake_model, "Second")

    assert prompt_texts(model_reply) == [("user", "One"), ("assistant", "First"), ("user", "Two")]


@ONLY_7
async def test_malformed_message_ids_still_work_for_the_client(
    page: Page, fake_model: FakeModel
) -> None:
    odd = {"id": "chat:1/ä", "role": "user", "parts": [{"type": "text", "text": "One"}]}
    await page.open()
    await page.show([odd])
    await page.regenerate()
    await complete_reply(page, fake_model, "First")
    await page.send("Eins", messageId="chat:1/ä")
    model_reply = await complete_reply(page, fake_model, "Erstens")

    assert prompt_texts(model_reply) == [("user", "Eins")]
    assert len((await stored_state(page))["messages"]) == 2
