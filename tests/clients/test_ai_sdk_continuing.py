"""``useChat``: continuing a reply that was cut, in the same message."""

import pytest

from domain.model.message import FinishReason
from domain.model.piece import ReasoningPiece
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.use_chat_page import (
    Page,
    ids_of,
    kinds,
    shown,
    start_exchange,
    stored_state,
    text_of,
)

CONTINUE = {"continue": True}
WHOLE = [("user", "One"), ("assistant", "Once upon a time")]


async def cut_reply(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    (await start_exchange(page, fake_model, "One", "Once upon a ti")).finish(FinishReason.LENGTH)
    await page.until(status="ready")


async def finish(page: Page, model_reply: ModelReply) -> None:
    model_reply.send(ReasoningPiece("On."))
    model_reply.send_text("me")
    model_reply.finish()
    await page.until(status="ready")


@pytest.mark.parametrize("how", ["sendMessage", "regenerate"])
async def test_the_reply_goes_on_in_the_same_message(
    page: Page, fake_model: FakeModel, how: str
) -> None:
    await cut_reply(page, fake_model)
    ids = ids_of(await page.state())
    if how == "regenerate":
        await page.regenerate(messageId=ids[-1], body=CONTINUE)
    else:
        await page.continue_reply(body=CONTINUE)
    await finish(page, await fake_model.next_reply())
    state = await page.state()

    assert (shown(state), ids_of(state), state["errors"]) == (WHOLE, ids, [])
    assert state["messages"][-1]["metadata"]["finishReason"] == "stop"
    stored = await stored_state(page)
    assert (shown(stored), ids_of(stored)) == (WHOLE, ids)
    if how == "regenerate":
        assert kinds(state["messages"][-1]) == kinds(stored["messages"][-1])


async def test_a_failure_leaves_the_message_on_the_page(page: Page, fake_model: FakeModel) -> None:
    await cut_reply(page, fake_model)
    await page.continue_reply(body=CONTINUE)
    (await fake_model.next_reply()).fail()
    state = await page.until(status="error")

    assert text_of(state["messages"][-1]) == "Once upon a ti"
    assert shown(await stored_state(page)) == [WHOLE[0], ("assistant", "Once upon a ti")]
    await page.continue_reply(body=CONTINUE)
    await finish(page, await fake_model.next_reply())
    assert shown(await page.state()) == WHOLE


async def test_a_reload_shows_the_rest_in_one_message(page: Page, fake_model: FakeModel) -> None:
    await cut_reply(page, fake_model)
    await page.continue_reply(body=CONTINUE)
    model_reply = await fake_model.next_reply()
    model_reply.send_text("m")
    await page.until(status="streaming")
    messages = (await stored_state(page))["messages"]
    await page.open(id="here", messages=messages, resume=True)
    await page.until(status="streaming", text="Once upon a tim")
    model_reply.send_text("e")
    model_reply.finish()
    await page.until(status="ready", text="Once upon a time")

    assert shown(await page.state()) == WHOLE


async def test_a_reply_that_is_complete_is_not_continued(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here")
    (await start_exchange(page, fake_model, "One", "First")).finish()
    await page.until(status="ready")
    await page.continue_reply(body=CONTINUE)
    state = await page.until(status="error")

    assert state["requests"][-1]["status"] == 409
    assert fake_model.call_count == 1
