"""A service with Redis that is restarted in the middle of a conversation."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.browser import CUT, Visitor, visiting
from tests.support.processes import ServerProcess, serving
from tests.support.redis_servers import embedded_binary, free_port, redis_process
from tests.support.service import NEW

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_process(embedded_binary()) as server:
        yield server.url


@pytest.fixture
def port() -> int:
    return free_port()


@pytest_asyncio.fixture(loop_scope="session")
async def restarted(browser: Browser, port: int) -> AsyncIterator[Visitor]:
    """A visitor of a service that is restarted."""
    async with visiting(browser, f"http://127.0.0.1:{port}") as visitor:
        visitor.expect_problems("ERR_CONNECTION_REFUSED", CUT, "503")
        yield visitor


def started(port: int, redis_url: str) -> AbstractAsyncContextManager[ServerProcess]:
    return serving(port=str(port), REDIS_URL=redis_url, PRIVITY_KEYS=NEW)


async def test_the_page_waits_for_a_deploy_and_continues_the_conversation(
    restarted: Visitor, port: int, redis_url: str
) -> None:
    async with started(port, redis_url) as server:
        chat = await restarted.open()
        await chat.send("My colour is teal.")
        await expect(chat.replies.last).to_contain_text("Say something else")
        await expect(chat.button("Send")).to_be_visible()
        server.terminate()
        await server.wait()

    await chat.send("Which one was it?")
    await expect(chat.status).to_have_text("Connection lost. Trying again …")
    async with started(port, redis_url):
        await expect(chat.replies.last).to_contain_text("teal")

        await expect(chat.button("Send")).to_be_visible()
        await expect(chat.questions).to_have_text(["My colour is teal.", "Which one was it?"])


async def test_a_reply_whose_process_was_killed_can_be_requested_again(
    restarted: Visitor, port: int, redis_url: str
) -> None:
    async with started(port, redis_url) as server:
        chat = await restarted.open()
        await chat.send("Hello")
        await expect(chat.replies.last).to_contain_text("I am")
        server.kill()
        await server.wait()

    async with started(port, redis_url):
        # A turn counts as dead after 15 seconds of silence.
        await expect(chat.notice).to_have_text("The reply was cut off. Try again.", timeout=40_000)
        await chat.button("Answer again").click()

        await expect(chat.replies.last).to_contain_text("Say something else")
        await expect(chat.questions).to_have_text(["Hello"])
