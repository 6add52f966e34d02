"""A connection for tests, and calls over it.

Reaching a Redis as the service does, and what an operator reads when that fails.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from redis.asyncio import Connection
from redis.exceptions import RedisError

from adapters.encrypted_redis.command_queue import Bounds, ConnectionTrouble
from adapters.encrypted_redis.connecting import RedisAddress, RedisUnreachable, open_redis
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.system.clock import SystemClock
from tests.support.clocks import HastyClock
from tests.support.fakes import RecordingTelemetry

BRIEF = timedelta(milliseconds=60)
LONG = timedelta(seconds=20)


@asynccontextmanager
async def connected(port: int, bounds: Bounds | None = None) -> AsyncIterator[Multiplexer]:
    def connecting() -> Connection:
        return Connection(
            host="127.0.0.1", port=port, protocol=2, socket_timeout=None, driver_info=None
        )

    connection = Multiplexer(connecting, bounds or Bounds(timeout=LONG, grace=LONG), SystemClock())
    running = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        connection.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def echoed(connection: Multiplexer, number: int) -> bytes | ConnectionTrouble:
    try:
        reply: bytes = await connection.call("ECHO", number)
    except ConnectionTrouble as trouble:
        return trouble
    return reply


async def until_it_answers(connection: Multiplexer) -> None:
    async with asyncio.timeout(20):
        while True:
            with suppress(ConnectionTrouble, RedisError):
                await connection.call("PING")
                return
            # A call that fails at once leaves the connection no time.
            await asyncio.sleep(0)


PASSWORD = "a planted password"
QUOTED = "a%20planted%20password"


@asynccontextmanager
async def opened(place: RedisAddress, seconds: float = 20) -> AsyncIterator[RedisClient]:
    """A clock whose pauses take no time counts the patience."""
    async with open_redis(
        place,
        clock=HastyClock() if seconds == 0 else SystemClock(),
        telemetry=RecordingTelemetry(),
        within=timedelta(seconds=seconds or 30),
    ) as commands:
        yield commands


async def answers(place: RedisAddress) -> bool:
    async with opened(place) as commands:
        return bool(await commands.call_once("test", "PING") == b"PONG")


async def refusal(place: RedisAddress) -> str:
    """What the operator reads."""
    with pytest.raises(RedisUnreachable) as caught:
        async with opened(place, seconds=0):
            pass
    return str(caught.value)
