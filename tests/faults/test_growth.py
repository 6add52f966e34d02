"""Nothing piles up: memory and tasks of the process after many turns are as after few."""

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
from domain.model.piece import ModelFinished, Piece, TextPiece
from domain.model.prompt import Prompt
from entrypoints.settings import Settings
from tests.support.fake_model import USAGE
from tests.support.native_client import NativeClient
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import running_service_with_redis
from tests.support.service import RunningService, running_service

FEW: Final = int(os.environ.get("PRIVITY_TEST_TURNS", "2000")) // 10
MANY: Final = FEW * 10
AT_ONCE: Final = 10
A_HUNDRED: Final = 100
A_FEW_BYTES: Final = 250
"""Less than anything that is kept of a turn would take."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Echo:
    """Says one word, at once."""

    name = "echo"

    async def reply(self, _: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        yield TextPiece("word")
        yield ModelFinished(reason=FinishReason.STOP, usage=USAGE)


@asynccontextmanager
async def in_memory(_: RedisProcess) -> AsyncIterator[RunningService]:
    generous = Settings(new_per_hour=1_000_000, stored_bytes_per_hour=10**12)
    async with running_service(generous, model=Echo()) as service:
        yield service


@asynccontextmanager
async def in_redis(redis: RedisProcess) -> AsyncIterator[RunningService]:
    async with running_service_with_redis(redis, Echo()) as service:
        yield service


async def test_memory_and_tasks_stay_within_a_tenth(redis: RedisProcess) -> None:
    async with in_redis(redis) as service:
        await turns(service.url, FEW)
        few = footprint()
        await turns(service.url, MANY - FEW)
        many = footprint()

    assert many[0] <= few[0] * 1.1
    assert many[1] <= few[1]


@pytest.mark.parametrize(("kept", "forgets"), [(in_redis, False), (in_memory, True)])
async def test_no_turn_leaves_anything_behind(
    redis: RedisProcess,
    kept: Callable[[RedisProcess], AbstractAsyncContextManager[RunningService]],
    *,
    forgets: bool,
) -> None:
    async with kept(redis) as service:
        await turns(service.url, A_HUNDRED, forgets=forgets)
        tracemalloc.start()
        try:
            await turns(service.url, A_HUNDRED, forgets=forgets)
            before = traced()
            await turns(service.url, 10 * A_HUNDRED, forgets=forgets)
            after = traced()
        finally:
            tracemalloc.stop()

    assert (after - before) / (10 * A_HUNDRED) < A_FEW_BYTES


async def turns(url: str, count: int, *, forgets: bool = False) -> None:
    """So many, in conversations of ten, which stay unless somebody forgets them."""
    for _ in range(count // (10 * AT_ONCE)):
        await asyncio.gather(*(a_conversation(url, forgets=forgets) for _ in range(AT_ONCE)))


async def a_conversation(url: str, *, forgets: bool) -> None:
    client = NativeClient(url)
    session_id = (await client.send_for_document("Hello"))["sessionId"]
    for _ in range(9):
        await client.send_for_document("And?", session_id)
    if forgets:
        assert (await client.delete(f"/api/chat?sessionId={session_id}")).status == 204


def traced() -> int:
    """Bytes that were taken since tracing began, and not given back."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def footprint() -> tuple[int, int]:
    """Bytes in memory, and tasks."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return resident * _PAGE, len(asyncio.all_tasks())
