"""Servers that the tests of Redis share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.redis_store import Storing, storing


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisProcess]:
    """One server for all tests that leave it as they found it."""
    with redis_process(embedded_binary()) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[RedisProcess]:
    """A server that a test may stop, freeze and kill."""
    with redis_process(embedded_binary()) as server:
        yield server


@pytest.fixture
async def kept(shared_server: RedisProcess) -> AsyncIterator[Storing]:
    async with storing(shared_server.url) as kept:
        await kept.redis.flushdb()
        yield kept
