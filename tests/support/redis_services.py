"""Services whose conversations lie in a real Redis, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from entrypoints.settings import Settings
from ports.language_model import LanguageModel
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient
from tests.support.processes import ServerProcess, serving
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RING
from tests.support.service import RunningService, running_service


@asynccontextmanager
async def serving_from(server: RedisProcess, **settings: str) -> AsyncIterator[ServerProcess]:
    """``privity serve`` as a process of its own, over this server."""
    async with serving(REDIS_URL=server.url, PRIVITY_KEYS=RING, **settings) as service:
        yield service


@asynccontextmanager
async def served_from(
    server: RedisProcess, model: LanguageModel | None = None
) -> AsyncIterator[RunningService]:
    """The service in this process; a parrot replies unless another model is given."""
    async with running_service(settings_for(server.url), model=model or EchoModel()) as service:
        yield service


def settings_for(url: str) -> Settings:
    """Nobody is turned away by a limit: all who ask come from one address."""
    return Settings(redis_url=url, keys=RING, new_per_hour=1_000_000, stored_bytes_per_hour=10**12)


@asynccontextmanager
async def looking_into(server: RedisProcess) -> "AsyncIterator[Redis]":
    """A plain client beside the service."""
    redis = Redis.from_url(server.url, protocol=2)
    try:
        yield redis
    finally:
        await redis.aclose()


def at(url: str, client: NativeClient) -> NativeClient:
    """The same browser at another address."""
    moved = NativeClient(url)
    moved.cookie = client.cookie
    return moved
