"""Nothing piles up: memory and tasks of the process after many turns are as after few."""

import asyncio
import gc
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from domain.model.message import FinishReason
from domain.model.piece import ModelFinished, Piece, TextPiece
from domain.model.prompt import Prompt
from tests.e2e.chatting import Person
from tests.e2e.in_redis import served_from
from tests.e2e.puppet import USAGE
from tests.integration.redis_servers import RedisProcess

FEW: Final = int(os.environ.get("PRIVITY_TEST_TURNS", "2000")) // 10
MANY: Final = FEW * 10
AT_ONCE: Final = 10
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Echo:
    """Says one word, at once."""

    name = "echo"

    async def reply(self, _: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        yield TextPiece("word")
        yield ModelFinished(reason=FinishReason.STOP, usage=USAGE)


async def test_memory_and_tasks_stay_within_a_tenth(redis: RedisProcess) -> None:
    async with served_from(redis, Echo()) as service:
        await turns(service.url, FEW)
        few = footprint()
        await turns(service.url, MANY - FEW)
        many = footprint()

    assert many[0] <= few[0] * 1.1
    assert many[1] <= few[1]


async def turns(url: str, count: int) -> None:
    """So many, in conversations of ten."""
    for _ in range(count // (10 * AT_ONCE)):
        await asyncio.gather(*(a_conversation(url) for _ in range(AT_ONCE)))


async def a_conversation(url: str) -> None:
    person = Person(url)
    session_id = (await person.ask("Hello"))["sessionId"]
    for _ in range(9):
        await person.ask("And?", session_id)


def footprint() -> tuple[int, int]:
    """Bytes in memory, and tasks."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return resident * _PAGE, len(asyncio.all_tasks())
