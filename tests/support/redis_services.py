"""Services that store conversations in a real Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import evolve
from redis.asyncio import Redis

from entrypoints.settings import Settings
from ports.language_model import LanguageModel
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient
from tests.support.processes import ServerProcess, serving
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RING
from tests.support.service import UNLIMITED, RunningService, running_service


@asynccontextmanager
async def serving_with_redis(server: RedisProcess, **settings: str) -> AsyncIterator[ServerProcess]:
    """``privity serve`` in its own process, with this Redis and without limits."""
    defaults = {"PRIVITY_LIMITS": "off", "PRIVITY_V1": "open"}
    required = {"REDIS_URL": server.url, "PRIVITY_KEYS": RING}
    async with serving(**{**defaults, **settings, **required}) as service:
        yield service


@asynccontextmanager
async def running_service_with_redis(
    server: RedisProcess, model: LanguageModel | None = None
) -> AsyncIterator[RunningService]:
    """The service in this process, by default with an ``EchoModel``."""
    async with running_service(settings_for(server.url), model=model or EchoModel()) as service:
        yield service


def settings_for(url: str) -> Settings:
    """Settings without limits, because all tests come from one address; ``/v1`` is open."""
    return evolve(UNLIMITED, redis_url=url, keys=RING)


@asynccontextmanager
async def redis_client(server: RedisProcess) -> "AsyncIterator[Redis]":
    """A plain Redis client, separate from the service's."""
    redis = Redis.from_url(server.url, protocol=2)
    try:
        yield redis
    finally:
        await redis.aclose()


def same_user_at(url: str, client: NativeClient) -> NativeClient:
    """The same browser, calling another address."""
    moved = NativeClient(url)
    moved.cookie = client.cookie
    return moved
