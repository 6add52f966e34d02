"""Servers and adapters for the tests against a real Redis."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.redis_store import RedisHarness, redis_harness


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisProcess]:
    """One server for all tests that leave it as it was."""
    with redis_process(embedded_binary()) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[RedisProcess]:
    """A server that a test may stop, freeze and kill."""
    with redis_process(embedded_binary()) as server:
        yield server


@pytest.fixture
async def harness(shared_server: RedisProcess) -> AsyncIterator[RedisHarness]:
    async with redis_harness(shared_server.url) as harness:
        await harness.redis.flushdb()
        yield harness
