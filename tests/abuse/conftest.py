"""Fixtures: two processes over one Redis, whose model follows instructions."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.fleet import Fleet, running_fleet
from tests.support.instructed_model import InstructedModel, instructed_model_server
from tests.support.processes import RUN
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process


@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    with redis_process(embedded_binary()) as server:
        yield server


@pytest.fixture
async def instructed_model() -> AsyncIterator[InstructedModel]:
    async with instructed_model_server() as instructed_model:
        yield instructed_model


@pytest.fixture
async def fleet(redis: RedisProcess, instructed_model: InstructedModel) -> AsyncIterator[Fleet]:
    async with running_fleet(redis.url, instructed_model, RUN) as fleet:
        yield fleet
