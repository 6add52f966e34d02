"""A connection for tests, and calls over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from redis.asyncio import Connection
from redis.exceptions import RedisError

from adapters.encrypted_redis.command_queue import Bounds, ConnectionTrouble
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.system.clock import SystemClock

BRIEF = timedelta(milliseconds=60)
LONG = timedelta(seconds=20)


@asynccontextmanager
async def connected(port: int, bounds: Bounds | None = None) -> AsyncIterator[Multiplexer]:
    def connecting() -> Connection:
        return Connection(
            host="127.0.0.1", port=port, protocol=2, socket_timeout=None, driver_info=None
        )

    connection = Multiplexer(
        connecting, bounds or Bounds(patience=LONG, lateness=LONG), SystemClock()
    )
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
