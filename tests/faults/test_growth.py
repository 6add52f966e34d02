"""Memory use and task count of the process do not grow with the number of turns."""

import asyncio
import gc
import os
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from domain.model.message import FinishReason
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt
from tests.support.fake_model import USAGE
from tests.support.native_client import NativeClient
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import running_service_with_redis
from tests.support.service import UNLIMITED, RunningService, running_service

FEW: Final = int(os.environ.get("PRIVITY_TEST_TURNS", "2000")) // 10
MANY: Final = FEW * 10
CONCURRENT: Final = 10
HUNDRED: Final = 100
FEW_BYTES: Final = 250
"""Less than anything retained from a turn would take."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class OneWordModel:
    """Replies with one word, immediately."""

    name = "one-word"

    async def reply(self, _: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        yield TextPiece("word")
        yield ModelFinished(reason=FinishReason.STOP, usage=USAGE)


@asynccontextmanager
async def in_memory(_: RedisProcess) -> AsyncIterator[RunningService]:
    async with running_service(UNLIMITED, model=OneWordModel()) as service:
        yield service


@asynccontextmanager
async def in_redis(redis: RedisProcess) -> AsyncIterator[RunningService]:
    async with running_service_with_redis(redis, OneWordModel()) as service:
        yield service


async def test_memory_and_tasks_grow_by_less_than_a_tenth(redis: RedisProcess) -> None:
    async with in_redis(redis) as service:
        await take_turns(service.url, FEW)
        before = footprint()
        await take_turns(service.url, MANY - FEW)
        after = footprint()

    assert after[0] <= before[0] * 1.1
    assert after[1] <= before[1]


@pytest.mark.parametrize(("storage", "forgets"), [(in_redis, False), (in_memory, True)])
async def test_a_turn_leaves_nothing_in_memory(
    redis: RedisProcess,
    storage: Callable[[RedisProcess], AbstractAsyncContextManager[RunningService]],
    *,
    forgets: bool,
) -> None:
    async with storage(redis) as service:
        await take_turns(service.url, HUNDRED, forgets=forgets)
        tracemalloc.start()
        try:
            await take_turns(service.url, HUNDRED, forgets=forgets)
            before = traced()
            await take_turns(service.url, 10 * HUNDRED, forgets=forgets)
            after = traced()
        finally:
            tracemalloc.stop()

    assert (after - before) / (10 * HUNDRED) < FEW_BYTES


async def take_turns(url: str, count: int, *, forgets: bool = False) -> None:
    """Take ``count`` turns in conversations of ten turns, and forget each one if ``forgets``."""
    for _ in range(count // (10 * CONCURRENT)):
        await asyncio.gather(*(take_ten_turns(url, forgets=forgets) for _ in range(CONCURRENT)))


async def take_ten_turns(url: str, *, forgets: bool) -> None:
    client = NativeClient(url)
    session_id = (await client.send_for_document("Hello"))["sessionId"]
    for _ in range(9):
        await client.send_for_document("And?", session_id)
    if forgets:
        assert (await client.delete(f"/api/chat?sessionId={session_id}")).status == 204


def traced() -> int:
    """The bytes allocated since tracing started and not freed."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def footprint() -> tuple[int, int]:
    """The resident memory in bytes, and the number of tasks."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return resident * _PAGE, len(asyncio.all_tasks())
