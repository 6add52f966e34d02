"""The confirmation before something is deleted for good."""

import pytest
from playwright.async_api import expect

from tests.support.browser import Chat
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def exchange(chat: Chat, fake_model: FakeModel) -> None:
    await chat.box.fill("Hello")
    await chat.box.press("Enter")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Yes")
    model_reply.finish()
    await expect(chat.messages.last.locator(".actions")).to_be_visible()


async def test_the_confirmation_works_by_keyboard(chat: Chat, fake_model: FakeModel) -> None:
    await exchange(chat, fake_model)
    await chat.button("Forget now").focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.button("Keep")).to_be_focused()
    await chat.page.keyboard.press("Escape")
    await expect(chat.page.get_by_role("dialog")).to_be_hidden()
    await expect(chat.button("Forget now")).to_be_focused()
    await chat.page.keyboard.press("Enter")
    await chat.page.keyboard.press("Tab")
    await chat.page.keyboard.press("Enter")

    await expect(chat.notice).to_contain_text("The conversation has been forgotten.")


async def test_a_confirmation_opened_again_at_once_gets_its_own_answer(
    chat: Chat, fake_model: FakeModel
) -> None:
    await exchange(chat, fake_model)
    await chat.evaluate(
        """async () => {
            const press = (name) => [...document.querySelectorAll("button")]
                .find((one) => one.textContent.trim() === name).click();
            press("Forget now");
            const dialog = document.querySelector("dialog");
            const closed = new Promise((next) =>
                dialog.addEventListener("close", () => setTimeout(next)));
            dialog.close();
            press("Forget now");
            await closed;
            press("Forget");
        }"""
    )

    await expect(chat.notice).to_contain_text("The conversation has been forgotten.")
