"""Connections to Redis for tests: a bare one, and a client as the service opens it."""

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
from ports.clock import Clock
from tests.support.clocks import HastyClock
from tests.support.fakes import RecordingTelemetry

# A busy machine needs some time for one command.
BRIEF = timedelta(milliseconds=300)
LONG = timedelta(seconds=20)
_FEW_ATTEMPTS = timedelta(seconds=0.5)


@asynccontextmanager
async def connected(
    port: int, bounds: Bounds | None = None, clock: Clock | None = None
) -> AsyncIterator[Multiplexer]:
    def new_connection() -> Connection:
        return Connection(
            host="127.0.0.1", port=port, protocol=2, socket_timeout=None, driver_info=None
        )

    connection = Multiplexer(
        new_connection, bounds or Bounds(timeout=LONG, grace=LONG), clock or SystemClock()
    )
    running = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        connection.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def echo(connection: Multiplexer, number: int) -> bytes | ConnectionTrouble:
    try:
        reply: bytes = await connection.call("ECHO", number)
    except ConnectionTrouble as error:
        return error
    return reply


async def wait_until_connected(connection: Multiplexer) -> None:
    async with asyncio.timeout(20):
        while True:
            with suppress(ConnectionTrouble, RedisError):
                await connection.call("PING")
                return
            # A call that fails at once does not yield, so the connection could never be opened.
            await asyncio.sleep(0)


@asynccontextmanager
async def connected_client(address: RedisAddress) -> AsyncIterator[RedisClient]:
    async with open_redis(address, clock=SystemClock(), telemetry=RecordingTelemetry()) as client:
        yield client


async def answers(address: RedisAddress) -> bool:
    async with connected_client(address) as client:
        return bool(await client.call_once("test", "PING") == b"PONG")


async def connect_error(address: RedisAddress, bounds: Bounds | None = None) -> str:
    """The error that the operator sees. The pauses between the attempts take no real time."""
    with pytest.raises(RedisUnreachable) as caught:
        async with open_redis(
            address,
            clock=HastyClock(),
            telemetry=RecordingTelemetry(),
            within=_FEW_ATTEMPTS,
            bounds=bounds,
        ):
            pass
    return str(caught.value)
