"""What a visit loads, from where, and what the first paint needs."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.support.browser import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")
BYTES = """() => performance.getEntriesByType("resource")
    .concat(performance.getEntriesByType("navigation"))
    .filter((entry) => !entry.name.includes("/api/"))
    .reduce((sum, entry) => sum + entry.decodedBodySize, 0)"""
PAINTED = "performance.getEntriesByName('first-contentful-paint').length"


async def test_a_visit_loads_less_than_64_kb_and_nothing_from_other_sites(visitor: Visitor) -> None:
    chat = await visitor.open()

    assert 40_000 < await chat.evaluate(BYTES) < 64_000
    assert [seen.url for seen in visitor.requests if not seen.url.startswith(visitor.url)] == []


async def test_the_first_paint_needs_only_the_document(visitor: Visitor) -> None:
    held: asyncio.Queue[Route] = asyncio.Queue()
    await visitor.context.route("**/page/*", held.put)
    page = await visitor.context.new_page()
    await page.goto(visitor.url, wait_until="commit")

    # Polled from here: the page's policy forbids playwright's polling inside the page.
    async with asyncio.timeout(20):
        while not await page.evaluate(PAINTED):
            pass
    await expect(page.get_by_role("heading", name="Chat")).to_be_visible()
    assert held.qsize() > 0
    await page.close()
