"""A browser for all tests, and a service and a visitor for each."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.support.browser import Chat, Visitor, Visits, visiting
from tests.support.chromium import chromium_or_skip
from tests.support.fake_model import FakeModel
from tests.support.service import RunningService, running_service

# Chromium's sandbox does not work in containers; all test sites are on this machine.
_ARGUMENTS = ("--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium_or_skip()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
def fake_model() -> FakeModel:
    return FakeModel()


@pytest_asyncio.fixture(loop_scope="session")
async def service(browser: Browser, fake_model: FakeModel) -> AsyncIterator[RunningService]:  # noqa: ARG001 - without a browser nothing is served
    async with running_service(model=fake_model) as service:
        yield service


@pytest.fixture
def visits(browser: Browser, service: RunningService) -> Visits:
    """Opens browsers for tests that choose the browser's options."""
    return partial(visiting, browser, service.url)


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visits: Visits) -> AsyncIterator[Visitor]:
    async with visits() as visitor:
        yield visitor


@pytest_asyncio.fixture(loop_scope="session")
async def chat(visitor: Visitor) -> Chat:
    return await visitor.open()
