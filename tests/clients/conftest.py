"""Pages with ``useChat``; the summary says if the npm packages were not tested."""

from collections.abc import AsyncIterator, Iterator

import punq
import pytest
from attrs import evolve

from adapters.tool_servers.opening import NoToolServers
from ports.tool_servers import ToolServers
from tests.support.fake_model import FakeModel
from tests.support.node import need_node, running
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.service import NEW, UNLIMITED, RunningService, running_service
from tests.support.use_chat_page import Page


@pytest.fixture
def fake_model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def tool_servers() -> ToolServers:
    """The tool servers of the service; a file of tests may have others."""
    return NoToolServers()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisProcess]:
    """One server for all of these tests; each test has its own client keys."""
    with redis_process(embedded_binary()) as server:
        yield server


@pytest.fixture
async def service(
    fake_model: FakeModel, redis: RedisProcess, tool_servers: ToolServers
) -> AsyncIterator[RunningService]:
    """A service that stores conversations in Redis, and whose model is controlled by the test."""
    settings = evolve(UNLIMITED, redis_url=redis.url, keys=NEW)

    def replace(container: punq.Container) -> None:
        container.register(ToolServers, instance=tool_servers)

    async with running_service(settings, model=fake_model, replacing=replace) as service:
        yield service


@pytest.fixture(params=["7", "6", "5"])
def major(request: pytest.FixtureRequest) -> str:
    """The major version of ``ai``; a test may limit itself to some of them."""
    return str(request.param)


@pytest.fixture
async def page(service: RunningService, major: str) -> AsyncIterator[Page]:
    """A page with ``useChat``, in a new browser."""
    need_node()
    async with running("driver.mjs", service.url, major) as node:
        yield Page(node)


@pytest.fixture
async def another_page(service: RunningService, major: str) -> AsyncIterator[Page]:
    """The same page in another user's browser."""
    need_node()
    async with running("driver.mjs", service.url, major) as node:
        yield Page(node)
