"""*Continue*: a reply that ended early goes on in the same bubble."""

import pytest
from playwright.async_api import expect

from domain.model.message import FinishReason
from domain.model.piece import ReasoningPiece
from ports.language_model import ModelBusy
from tests.support.browser import CUT, Chat, Visitor, Visits
from tests.support.embedding_pages import embed, open_panel
from tests.support.fake_model import FakeModel, ModelReply

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOTE = "The reply was cut off because it reached its maximum length."
BUSY = "The assistant is busy. Try again in a moment."
BEFORE = "First paragraph.\n\nOnce upon a ti"


async def cut_reply(chat: Chat, fake_model: FakeModel, text: str = "Once upon a ti") -> None:
    """A reply on the page that was cut."""
    await chat.box.fill("Tell me a story")
    await chat.box.press("Enter")
    model_reply = await fake_model.next_reply()
    model_reply.send(ReasoningPiece("Hm."))
    model_reply.send_text(text)
    model_reply.finish(FinishReason.LENGTH)
    await expect(chat.messages.last.locator(".ending")).not_to_have_text("")


async def press_continue(chat: Chat, fake_model: FakeModel) -> ModelReply:
    await chat.button("Continue").click()
    return await fake_model.next_reply()


async def finish(model_reply: ModelReply, text: str = "me, there was") -> None:
    model_reply.send(ReasoningPiece("On."))
    model_reply.send_text(text)
    model_reply.finish()


async def test_the_reply_goes_on_in_the_same_bubble(chat: Chat, fake_model: FakeModel) -> None:
    await cut_reply(chat, fake_model)
    model_reply = await press_continue(chat, fake_model)

    await expect(chat.replies.last).to_have_text("Once upon a ti")
    await expect(chat.button("Continue")).to_be_hidden()
    await expect(chat.messages.last.locator(".ending")).to_be_hidden()
    count = await chat.messages.count()
    await finish(model_reply)
    await chat.expect_reply("Once upon a time, there was")
    await expect(chat.messages).to_have_count(count)
    await expect(chat.button("Continue")).to_be_hidden()
    await chat.page.reload()
    await chat.expect_reply("Once upon a time, there was")


async def test_after_a_reload_and_in_another_tab_there_is_still_one_bubble(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    await cut_reply(chat, fake_model)
    await chat.page.reload()
    other = await visitor.open()
    await expect(other.messages.last.locator(".ending")).to_have_text(NOTE)
    model_reply = await press_continue(chat, fake_model)
    model_reply.send_text("me")

    await expect(other.replies.last).to_have_text("Once upon a time")
    await expect(other.status).to_have_text("A reply requested in another tab is being written.")
    await chat.page.reload()
    await expect(chat.replies.last).to_have_text("Once upon a time")
    model_reply.send_text(", there was")
    model_reply.finish()
    for tab in (chat, other):
        await tab.expect_reply("Once upon a time, there was")
        await expect(tab.replies.filter(has_text="Once")).to_have_count(1)


async def test_both_tabs_can_press_it_and_the_reply_goes_on_once(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    await cut_reply(chat, fake_model)
    other = await visitor.open()
    # Neither tab knows yet what the other has requested.
    for tab in (chat, other):
        await tab.evaluate("BroadcastChannel.prototype.postMessage = () => {}")
    model_reply = await press_continue(chat, fake_model)
    await other.button("Continue").click()
    await expect(other.button("Stop")).to_be_visible()
    await finish(model_reply)

    for tab in (chat, other):
        await tab.expect_reply("Once upon a time, there was")
    assert fake_model.call_count == 2


async def test_a_double_click_continues_once(chat: Chat, fake_model: FakeModel) -> None:
    await cut_reply(chat, fake_model)
    await chat.button("Continue").dblclick()
    await finish(await fake_model.next_reply())

    await chat.expect_reply("Once upon a time, there was")
    await expect(chat.button("Continue")).to_be_hidden()
    assert fake_model.call_count == 2


async def test_a_double_click_answers_again_once(chat: Chat, fake_model: FakeModel) -> None:
    await cut_reply(chat, fake_model)
    await chat.button("Answer again").dblclick()
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Another one")
    model_reply.finish()

    await chat.expect_reply("Another one")
    assert fake_model.call_count == 2


async def test_a_failure_leaves_the_text_and_the_button(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems(CUT)
    await cut_reply(chat, fake_model)
    (await press_continue(chat, fake_model)).fail(ModelBusy())

    await expect(chat.notice).to_have_text(BUSY)
    for _ in range(2):
        await expect(chat.replies.last).to_have_text("Once upon a ti")
        await expect(chat.messages.last.locator(".ending")).to_have_text(NOTE)
        await expect(chat.button("Try again")).to_be_hidden()
        await expect(chat.button("Continue")).to_be_visible()
        await chat.page.reload()
        await expect(chat.notice).to_have_text(BUSY)
    await finish(await press_continue(chat, fake_model))
    await chat.expect_reply("Once upon a time, there was")
    await expect(chat.notice).to_have_text("")


async def test_what_was_written_before_a_failure_can_go_on_too(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems(CUT)
    await cut_reply(chat, fake_model)
    model_reply = await press_continue(chat, fake_model)
    model_reply.send_text("me, ")
    model_reply.fail(ModelBusy())
    await expect(chat.notice).to_have_text(BUSY)
    await expect(chat.replies.last).to_have_text("Once upon a time,")

    await finish(await press_continue(chat, fake_model), "there was")

    await chat.expect_reply("Once upon a time, there was")


async def test_a_request_that_is_refused_leaves_the_text_and_the_button(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("503")
    await cut_reply(chat, fake_model)
    problem = '{"code": "store_unavailable", "detail": "", "status": 503}'
    options = {"status": 503, "content_type": "application/problem+json", "body": problem}
    await chat.page.route("**/continue", lambda route: route.fulfill(**options))
    await chat.button("Continue").click()

    await expect(chat.notice).to_contain_text("cannot reach its storage")
    await expect(chat.replies.last).to_have_text("Once upon a ti")
    await expect(chat.button("Continue")).to_be_visible()


async def test_a_stopped_reply_can_go_on(chat: Chat, fake_model: FakeModel) -> None:
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Once upon a ti")
    await expect(chat.replies.last).to_have_text("Once upon a ti")
    await chat.button("Stop").click()
    await expect(chat.messages.last).to_contain_text("Stopped.")

    await finish(await press_continue(chat, fake_model))

    await chat.expect_reply("Once upon a time, there was")


async def test_it_works_with_the_keyboard_and_only_what_is_new_is_read_out(
    chat: Chat, fake_model: FakeModel
) -> None:
    await cut_reply(chat, fake_model, BEFORE)
    spoken = chat.page.locator("[role=log]")
    await chat.button("Continue").focus()
    await chat.page.keyboard.press("Enter")
    model_reply = await fake_model.next_reply()

    await expect(chat.page.get_by_role("region", name="Conversation")).to_be_focused()
    await expect(spoken).to_have_text("")
    await finish(model_reply, "me.\n\nThe end.")
    await expect(spoken).to_have_text("Once upon a time.The end.")
    await chat.page.keyboard.press("Tab")
    assert await chat.evaluate("document.activeElement !== document.body")


async def test_a_reply_without_text_or_an_older_one_has_no_button(
    chat: Chat, fake_model: FakeModel
) -> None:
    await cut_reply(chat, fake_model, "")
    await expect(chat.button("Continue")).to_be_hidden()

    await cut_reply(chat, fake_model)
    await expect(chat.button("Continue")).to_have_count(1)
    await chat.send("Another")
    (await fake_model.next_reply()).finish(FinishReason.LENGTH)
    await expect(chat.messages.last.locator(".ending")).not_to_have_text("")

    await expect(chat.button("Continue")).to_have_count(0)


@pytest.mark.parametrize(
    ("locale", "name"), [("fi", "Jatka"), ("sv", "Fortsätt"), ("ar", "متابعة")]
)
async def test_the_button_is_in_the_visitors_language(
    visits: Visits, fake_model: FakeModel, locale: str, name: str
) -> None:
    async with visits(locale=locale) as visitor:
        chat = await visitor.open()
        await cut_reply(chat, fake_model)
        await chat.button(name).click()
        await finish(await fake_model.next_reply())

        await expect(chat.replies.last).to_have_text("Once upon a time, there was")


async def test_the_widget_has_the_button_too(visitor: Visitor, fake_model: FakeModel) -> None:
    chat = await embed(visitor, visitor.url, visitor.url)
    await open_panel(chat)
    await cut_reply(chat, fake_model)
    await finish(await press_continue(chat, fake_model))

    await chat.expect_reply("Once upon a time, there was")
