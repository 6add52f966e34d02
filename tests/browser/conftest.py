"""A browser for all tests, and a service and a visitor for each."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import Chat, Visitor, Visits, visiting
from tests.support.chromium import running_chromium
from tests.support.fake_model import FakeModel
from tests.support.service import RunningService, running_service


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as browser:
        yield browser


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
