"""A visitor at a browser: what they do in the chat, and what they see of it.

What several tests of the chat page say.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    expect,
)

from tests.support.fake_model import FakeModel, ModelReply

# A failed reply ends like that on purpose; see docs/http_api.md.
CUT: Final = "ERR_INCOMPLETE_CHUNKED_ENCODING"
_BOX: Final = re.compile("your message|viestisi|meddelande|رسالتك", re.IGNORECASE)
_PATIENCE_MS: Final = 15_000
expect.set_options(timeout=_PATIENCE_MS)


class Chat:
    """One tab with the chat in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.get_by_role("textbox", name=_BOX)
        self.messages = page.locator(".message")
        self.replies = page.locator(".message.assistant .text")
        self.said = page.locator(".message.user .text")
        self.status = page.locator(".status")
        self.notice = page.locator(".notice [role=alert]")
        self.left = page.get_by_role("timer")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def say(self, text: str) -> None:
        await self.box.fill(text)
        await self.box.press("Enter")

    async def sees_reply(self, text: str) -> None:
        """The newest reply is this, and whole."""
        await expect(self.replies.last).to_have_text(text)
        await expect(self.button("Send")).to_be_visible()

    async def forget(self, name: str = "Forget now") -> None:
        await self.button(name).click()
        await self.page.locator("dialog[open] .main").click()

    async def evaluate(self, code: str, given: object = None) -> Any:
        return await self.page.evaluate(code, given)


class Visitor:
    """Somebody with a browser of their own; what goes wrong in it is kept in ``problems``."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.problems: list[str] = []
        self.requests: list[Request] = []
        self._forgiven: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda problem: self.problems.append(str(problem.error)))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _request(self, request: Request) -> None:
        self.requests.append(request)

    def forgive(self, *texts: str) -> None:
        """Expect the browser to complain of this: it does for every answer that is no success."""
        self._forgiven += texts

    @property
    def unforgiven(self) -> list[str]:
        return [
            told for told in self.problems if not any(known in told for known in self._forgiven)
        ]

    async def open(self, path: str = "/") -> Chat:
        """A new tab with the chat, ready to be written in."""
        page = await self.context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        await page.goto(self.url + path)
        chat = Chat(page)
        await expect(chat.messages.first).to_be_visible()
        return chat


Visits = Callable[..., AbstractAsyncContextManager[Visitor]]
"""Lets somebody new visit; takes options of a browser context."""


@asynccontextmanager
async def visiting(browser: Browser, url: str, **options: Any) -> AsyncIterator[Visitor]:
    """A new visitor, who must have seen nothing go wrong in the end."""
    context = await browser.new_context(**{"locale": "en-GB", **options})
    try:
        visitor = Visitor(context, url)
        yield visitor
        assert visitor.unforgiven == [], visitor.unforgiven
    finally:
        await context.close()


SAY = """(message) => {
    const sessionId = localStorage.getItem("privity.session");
    const headers = {"content-type": "application/json"};
    const body = JSON.stringify({message, sessionId});
    return fetch("api/chat", {method: "POST", headers, body}).then(() => true);
}"""
SAY_AND_WAIT = SAY.replace(".then(() => true)", ".then((answer) => answer.text())")


async def half_said(chat: Chat, fake_model: FakeModel) -> ModelReply:
    """A reply in the middle."""
    await chat.say("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.say("The first half,")
    await expect(chat.replies.last).to_have_text("The first half,")
    return model_reply
