"""Opening the page costs the service nothing, and no reply makes the page slow."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from math import inf
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, expect
from redis.asyncio import Redis

from tests.support.browser import Chat, visiting
from tests.support.chromium import running_chromium
from tests.support.embedding_pages import embed, open_panel
from tests.support.native_client import NativeClient
from tests.support.processes import ServerProcess, serving
from tests.support.redis_servers import embedded_binary, redis_process
from tests.support.service import NEW

pytestmark = pytest.mark.asyncio(loop_scope="module")
OPENINGS: Final = 10_000
CONNECTIONS: Final = 8
ATTEMPTS: Final = 3
LONGEST_REPLY: Final = 262_144
FRIENDLY: Final = (
    "It **depends** on *where* you live. See [the page](https://e.org/path) and `code`.\n\n"
    "- one\n- two with **bold**\n  - nested\n\n> quoted\n\n```\na = 1\n```\n\n"
    "1. first\n2. second\n\n"
)
HOSTILE: Final = (
    *("*", "*a ", "**a ", "***a ", "*a *", "*a **b ", "* *a* ", "_", " _a", "a_", "__a _b "),
    *("`", "a` ", "`a ``b ```c ", "[", "[a ", "](", "[a](b", "[a](javascript:x) ", "|", "\\*"),
    *("> ", "> a\n", "- ", "- a\n", "- - - - - - a\n", "a\n\n", "# a\n", "```\n", "\n", "\r", " "),
    *("https://[", "<https://", f"https://a{'.' * 1_900}b ", "1", "*a _b ", "*a* ", "_a_ "),
)
RENDER: Final = """async ([unit, length]) => {
    const { logView } = await import(new URL("page/log_view.js", location.origin + "/"));
    const text = unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
    const message = { role: "assistant", text, status: "finished" };
    logView({}, {}).update({ messages: [message], next: null });
}"""
STREAM: Final = """async ([unit, length, pieces]) => {
    const { logView } = await import(new URL("page/log_view.js", location.origin + "/"));
    const text = unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
    const message = { role: "assistant", text: "", status: "writing" };
    const view = logView({}, {});
    for (let at = 0; at < length; at += length / pieces) {
        message.text += text.slice(at, at + length / pieces);
        view.update({ messages: [message], next: null });
    }
}"""


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_process(embedded_binary()) as server:
        yield server.url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(redis_url: str) -> AsyncIterator[ServerProcess]:
    """A service with far lower limits than the number of openings."""
    async with serving(REDIS_URL=redis_url, PRIVITY_KEYS=NEW, PRIVITY_NEW_PER_HOUR="10") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as browser:
        yield browser


async def stored_keys(redis_url: str) -> set[str]:
    """All keys, among them those of the limits, except the lease that each process has."""
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        return {key for key in map(str, await redis.keys()) if not key.startswith("process:")}


async def open_page(url: str, times: int) -> set[tuple[bytes, bool]]:
    """The status lines of so many GETs, and whether the response set a cookie."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    seen = set()
    for _ in range(times):
        writer.write(f"GET / HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        seen.add((head.partition(b"\r\n")[0], b"set-cookie" in head))
    writer.close()
    await writer.wait_closed()
    return seen


async def test_ten_thousand_openings_store_nothing_and_use_up_no_limit(
    server: ServerProcess, redis_url: str
) -> None:
    each = OPENINGS // CONNECTIONS
    answers = await asyncio.gather(*(open_page(server.url, each) for _ in range(CONNECTIONS)))

    assert set().union(*answers) == {(b"http/1.1 200 ok", False)}
    assert await stored_keys(redis_url) == set()
    answer = await NativeClient(server.url).post("/api/sessions", {})
    assert answer.status == 201
    await NativeClient(server.url, cookie=str(answer.headers["set-cookie"])).delete(
        f"/api/chat/{answer.document['sessionId']}"
    )


async def test_the_page_and_the_widget_create_nothing_before_the_first_message(
    server: ServerProcess, redis_url: str, browser: Browser
) -> None:
    before = await stored_keys(redis_url)
    async with visiting(browser, server.url) as visitor:
        chat = await visitor.open()
        await expect(chat.replies).to_have_text(["Hello! What would you like to know?"])
        widget = await embed(visitor, visitor.url, visitor.url)
        await open_panel(widget)
        await expect(widget.replies).to_have_text(["Hello! What would you like to know?"])

        calls = [seen.url for seen in visitor.requests if "/api/" in seen.url]
        assert calls == []
        assert await visitor.context.cookies() == []
        assert await stored_keys(redis_url) == before
        await chat.send("Hello")
        await expect(chat.replies.last).to_contain_text("Say something else")
        assert await stored_keys(redis_url) > before


class Tab:
    """The page in a tab, and the CPU time that it uses."""

    def __init__(self, chat: Chat, session: Any) -> None:
        self._chat = chat
        self._session = session

    async def cpu_seconds(self, code: str, *arguments: object) -> float:
        """The CPU time of this code in the tab's main thread, which no other process can delay."""
        before = await self._used()
        await self._chat.evaluate(code, list(arguments))
        return await self._used() - before

    async def _used(self) -> float:
        metrics = (await self._session.send("Performance.getMetrics"))["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


@pytest_asyncio.fixture(loop_scope="module")
async def tab(browser: Browser) -> AsyncIterator[Tab]:
    async with serving() as server, visiting(browser, server.url) as visitor:
        chat = await visitor.open()
        session = await visitor.context.new_cdp_session(chat.page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        yield Tab(chat, session)


async def cost_of(tab: Tab, unit: str, limit: float) -> float:
    """The CPU time to format the longest reply of this unit, or a shorter one above the limit.

    Infinite if the page fails.
    """
    length, used = LONGEST_REPLY // 64, 0.0
    while length <= LONGEST_REPLY and used <= limit:
        try:
            used = await tab.cpu_seconds(RENDER, unit, length)
        except Error:
            return inf
        length *= 2
    return used


async def test_no_reply_costs_much_more_to_format_than_a_friendly_one(tab: Tab) -> None:
    length = LONGEST_REPLY // 8
    friendly = max([await tab.cpu_seconds(RENDER, FRIENDLY, length) for _ in range(5)])
    limit = 8 * friendly

    too_expensive = list(HOSTILE)
    # A busy machine adds to what is measured; what is too expensive is so each time.
    for _ in range(ATTEMPTS):
        too_expensive = [unit for unit in too_expensive if await cost_of(tab, unit, limit) > limit]

    assert too_expensive == []


async def test_a_list_of_twice_the_length_costs_about_twice_as_much_to_stream(tab: Tab) -> None:
    unit = "- One of many items\n"
    await tab.cpu_seconds(STREAM, unit, LONGEST_REPLY // 8, 50)

    ratios: list[float] = []
    while len(ratios) < ATTEMPTS and min(ratios, default=inf) >= 3:
        half = await tab.cpu_seconds(STREAM, unit, LONGEST_REPLY // 2, 32)
        ratios.append(await tab.cpu_seconds(STREAM, unit, LONGEST_REPLY, 64) / half)

    assert min(ratios) < 3
