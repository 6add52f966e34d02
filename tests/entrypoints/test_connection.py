"""When a connection whose client does not read counts as stalled."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from entrypoints.http.connection import BoundedConnection

TIMEOUT = 60.0


class FakeTransport(asyncio.Transport):
    """Holds what is written until the test takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent = 0
        self.is_aborted = False
        self.socket = socket.socket()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.socket if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: Any) -> None:
        self.unsent += len(data)

    def abort(self) -> None:
        self.is_aborted = True


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


@pytest.fixture
def transport() -> Iterator[FakeTransport]:
    transport = FakeTransport()
    yield transport
    transport.socket.close()


@pytest.fixture
async def connection(transport: FakeTransport) -> BoundedConnection:
    config = Config(nothing, log_config=None, interface="asgi3")
    connection = BoundedConnection(config, ServerState(), {})
    connection.connection_made(transport)
    return connection


def checked(connection: BoundedConnection, *times: float) -> None:
    start = asyncio.get_running_loop().time()
    for time in times:
        connection.abort_if_stalled(start + time, TIMEOUT)


async def test_an_idle_connection_does_not_stall(
    connection: BoundedConnection, transport: FakeTransport
) -> None:
    checked(connection, 0, 100, 1_000)

    assert not transport.is_aborted


async def test_a_client_that_takes_nothing_stalls_after_the_timeout(
    connection: BoundedConnection, transport: FakeTransport
) -> None:
    connection.transport.write(b"x" * 100)
    checked(connection, 1, 59)
    before = transport.is_aborted
    checked(connection, 62)

    assert (before, transport.is_aborted) == (False, True)


async def test_more_answers_do_not_count_as_taken(
    connection: BoundedConnection, transport: FakeTransport
) -> None:
    for time in range(0, 70, 5):
        connection.transport.write(b"x")
        checked(connection, time)

    assert transport.is_aborted


async def test_one_byte_taken_restarts_the_timeout(
    connection: BoundedConnection, transport: FakeTransport
) -> None:
    connection.transport.write(b"x" * 100)
    for time in range(0, 300, 50):
        # As many bytes follow as were taken, so the buffer looks unchanged.
        connection.transport.write(b"x")
        transport.unsent -= 1
        checked(connection, time)

    assert not transport.is_aborted
