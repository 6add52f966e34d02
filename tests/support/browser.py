"""A visitor with a browser: the chat page's controls, and the problems the browser reports."""

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

# The server ends a failed reply like this on purpose; see docs/http_api.md.
CUT: Final = "ERR_INCOMPLETE_CHUNKED_ENCODING"
_BOX: Final = re.compile("your message|viestisi|meddelande|رسالتك", re.IGNORECASE)
_TIMEOUT_MS: Final = 30_000
expect.set_options(timeout=_TIMEOUT_MS)


class Chat:
    """One tab that shows the chat."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.get_by_role("textbox", name=_BOX)
        self.messages = page.locator(".message")
        self.replies = page.locator(".message.assistant .text")
        self.questions = page.locator(".message.user .text")
        self.status = page.locator(".status")
        self.notice = page.locator(".notice [role=alert]")
        self.timer = page.get_by_role("timer")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def send(self, text: str) -> None:
        await self.box.fill(text)
        await self.box.press("Enter")

    async def expect_reply(self, text: str) -> None:
        """Wait until the newest reply is complete and consists of this text."""
        await expect(self.replies.last).to_have_text(text)
        await expect(self.button("Send")).to_be_visible()

    async def forget(self, name: str = "Forget now") -> None:
        await self.button(name).click()
        await self.page.locator("dialog[open] .main").click()

    async def evaluate(self, code: str, argument: object = None) -> Any:
        return await self.page.evaluate(code, argument)


class Visitor:
    """A user with a separate browser profile; ``problems`` collects its errors and warnings."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.problems: list[str] = []
        self.requests: list[Request] = []
        self._expected: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda problem: self.problems.append(str(problem.error)))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _request(self, request: Request) -> None:
        self.requests.append(request)

    def expect_problems(self, *texts: str) -> None:
        """Accept problems with these texts: browsers report every unsuccessful response."""
        self._expected += texts

    @property
    def unexpected_problems(self) -> list[str]:
        return [
            problem
            for problem in self.problems
            if not any(text in problem for text in self._expected)
        ]

    async def open(self, path: str = "/") -> Chat:
        """A new tab with the chat, ready for input."""
        page = await self.context.new_page()
        page.set_default_timeout(_TIMEOUT_MS)
        await page.goto(self.url + path)
        chat = Chat(page)
        await expect(chat.messages.first).to_be_visible()
        return chat


Visits = Callable[..., AbstractAsyncContextManager[Visitor]]
"""Opens a browser for a new visitor; takes options of a browser context."""


@asynccontextmanager
async def visiting(browser: Browser, url: str, **options: Any) -> AsyncIterator[Visitor]:
    """A new visitor; fails at the end if the browser reported an unexpected problem."""
    context = await browser.new_context(**{"locale": "en-GB", **options})
    try:
        visitor = Visitor(context, url)
        yield visitor
        assert not visitor.unexpected_problems, visitor.unexpected_problems
    finally:
        await context.close()


SEND = """(message) => {
    const sessionId = localStorage.getItem("privity.session");
    const headers = {"content-type": "application/json"};
    const body = JSON.stringify({message, sessionId});
    return fetch("api/chat", {method: "POST", headers, body}).then(() => true);
}"""
SEND_AND_WAIT = SEND.replace(".then(() => true)", ".then((answer) => answer.text())")


async def start_reply(chat: Chat, fake_model: FakeModel) -> ModelReply:
    """A reply whose first half is on the page."""
    await chat.send("Hello")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("The first half,")
    await expect(chat.replies.last).to_have_text("The first half,")
    return model_reply
