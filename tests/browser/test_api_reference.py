"""The page /docs in a browser: it loads nothing from elsewhere, and can call both protocols."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Response, ViewportSize, expect

from tests.support.service import RunningService
from tests.support.v1_client import V1Client

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1280, height=900)


@pytest_asyncio.fixture(loop_scope="session", params=[PHONE, DESK], ids=["phone", "desk"])
async def page(
    browser: Browser, service: RunningService, request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport=request.param)
    page = await context.new_page()
    await page.goto(f"{service.url}/docs")
    await page.locator(".opblock").first.wait_for()
    yield page
    await context.close()


async def try_out(page: Page, operation: str) -> Locator:
    """An operation, ready to send its example."""
    block = page.locator(f'[id$="-{operation}"]').first
    await block.locator(".opblock-summary-control").click()
    await block.locator(".try-out__btn").click()
    return block


async def execute(page: Page, block: Locator) -> Response:
    """The response to the example request of an operation."""
    async with page.expect_response(lambda one: one.request.method == "POST") as answer:
        await block.locator(".execute").click()
    return await answer.value


async def authorize(page: Page, key: str) -> None:
    await page.locator(".btn.authorize").click()
    dialog = page.locator(".auth-container").filter(has_text="bearer")
    await dialog.locator("input").fill(key)
    await dialog.locator("button.authorize").click()
    await page.locator(".btn-done").first.click()


async def test_it_shows_every_group_without_scrolling_sideways(page: Page) -> None:
    await expect(page.locator(".opblock-tag").filter(has_text="OpenAI: responses")).to_be_visible()
    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")

    assert widths[0] <= widths[1]


async def test_nothing_is_blocked_or_loaded_from_elsewhere(
    browser: Browser, service: RunningService
) -> None:
    page = await browser.new_page()
    urls: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    await page.goto(f"{service.url}/docs")
    await page.locator(".opblock").first.wait_for()
    await page.close()

    assert messages == []
    assert {url for url in urls if not url.startswith((service.url, "data:"))} == set()
    assert f"{service.url}/openapi.json" in urls


async def test_a_key_opens_v1_and_is_needed(page: Page, service: RunningService) -> None:
    block = await try_out(page, "post-v1-conversations")
    refused = await execute(page, block)
    key = (await V1Client.new(service.url)).headers["authorization"].removeprefix("Bearer ")
    await authorize(page, key)
    created = await execute(page, block)

    assert (refused.status, created.status) == (401, 200)
    assert key not in str(await page.context.storage_state())


async def test_requests_to_the_native_protocol_use_the_cookie(page: Page) -> None:
    created = await execute(page, await try_out(page, "post-api-sessions"))
    [cookie] = await page.context.cookies()
    again = await execute(page, await try_out(page, "post-api-client-key"))

    assert (created.status, cookie["name"]) == (201, "privity")
    assert cookie["value"] in (await again.request.all_headers())["cookie"]
