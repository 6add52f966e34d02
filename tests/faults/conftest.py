"""What the fault tests start from: a Redis that keeps what it acknowledged, a model, a fleet."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.fleet import Fleet, a_fleet
from tests.support.ordered_model import OrderedModel, ordered_model_server
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process

LASTING = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    with redis_process(embedded_binary(), *LASTING) as server:
        yield server


@pytest.fixture
async def ordered_model() -> AsyncIterator[OrderedModel]:
    async with ordered_model_server() as ordered_model:
        yield ordered_model


@pytest.fixture
async def fleet(redis: RedisProcess, ordered_model: OrderedModel) -> AsyncIterator[Fleet]:
    async with a_fleet(redis.url, ordered_model) as fleet:
        yield fleet
