"""Services and clients for the end-to-end tests."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.compose import Composed, composed
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.native_client import NativeClient
from tests.support.redis_kinds import missing
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.service import (
    UNLIMITED,
    RunningService,
    running_service,
    running_service_in_thread,
)
from tests.support.untouched_conversation import UntouchedConversation


@pytest.fixture
def fake_model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def service(fake_model: FakeModel) -> AsyncIterator[RunningService]:
    """A service whose model is controlled by the test."""
    async with running_service(model=fake_model) as service:
        yield service


@pytest.fixture
def client(service: RunningService) -> NativeClient:
    """A client of the service with the fake model."""
    return NativeClient(service.url)


@pytest.fixture(scope="session")
def echo_service() -> Iterator[str]:
    """One service for all tests, whose model echoes."""
    with running_service_in_thread(UNLIMITED, EchoModel()) as url:
        yield url


@pytest.fixture
def echo_client(echo_service: str) -> NativeClient:
    """A new client of the shared service, whose model repeats every user message."""
    return NativeClient(echo_service)


@pytest.fixture
async def untouched(echo_client: NativeClient) -> UntouchedConversation:
    """A conversation of the shared service that no rejected request may change."""
    return await UntouchedConversation.create(echo_client)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisProcess]:
    """One Redis for all tests that leave it running."""
    with redis_process(embedded_binary(), "--appendonly", "yes") as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[RedisProcess]:
    """A Redis that a test may kill; it persists every write that it acknowledges."""
    lasting = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_process(embedded_binary(), *lasting) as server:
        yield server


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    if why := missing().get("compose"):
        pytest.skip(why)
    with composed(tmp_path_factory.mktemp("compose")) as services:
        yield services


@pytest.fixture(scope="session")
def password(services: Composed) -> str:
    """The password of the service's Redis user."""
    url = services.inside("privity", "cat", "/secrets/redis-url").stdout
    return urlsplit(url).password or ""
