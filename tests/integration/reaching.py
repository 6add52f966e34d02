"""Reaching a Redis as the service does, and what an operator reads when that fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from adapters.encrypted_redis.connecting import RedisAway, RedisPlace, open_redis
from adapters.encrypted_redis.redis_client import Commands
from adapters.system.clock import SystemClock
from tests.clocks import HastyClock
from tests.noting import Notes

PASSWORD = "a planted password"
QUOTED = "a%20planted%20password"


@asynccontextmanager
async def opened(place: RedisPlace, seconds: float = 20) -> AsyncIterator[Commands]:
    """A clock whose pauses take no time counts the patience."""
    async with open_redis(
        place,
        clock=HastyClock() if seconds == 0 else SystemClock(),
        telemetry=Notes(),
        within=timedelta(seconds=seconds or 30),
    ) as commands:
        yield commands


async def answers(place: RedisPlace) -> bool:
    async with opened(place) as commands:
        return bool(await commands.once("test", "PING") == b"PONG")


async def refusal(place: RedisPlace) -> str:
    """What the operator reads."""
    with pytest.raises(RedisAway) as caught:
        async with opened(place, seconds=0):
            pass
    return str(caught.value)
