"""Connections are set up in fair shares, and none is lost without being closed."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from entrypoints.http import fair_shares
from entrypoints.http import listener as listener_module
from entrypoints.http.fair_shares import CALLS_AT_ONCE, FairShares
from entrypoints.http.listener import Listener

MANY = 5 * CALLS_AT_ONCE
SECONDS = 30


class Made:
    """The connections that were set up."""

    def __init__(self) -> None:
        self.transports: list[asyncio.Transport] = []
        self.first = asyncio.Event()

    @property
    def count(self) -> int:
        return len(self.transports)


class Greeting(asyncio.Protocol):
    """Sends one byte to each connection, and counts them."""

    def __init__(self, made: "Made") -> None:
        self.made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.made.transports.append(transport)
        self.made.first.set()
        transport.write(b"!")


@pytest.fixture
async def shares() -> FairShares:
    return FairShares()


@pytest.fixture
async def listener(shares: FairShares) -> AsyncIterator[Listener]:
    listener = Listener("127.0.0.1", 0, shares=shares)
    yield listener
    listener.close()


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    made = Made()
    yield made
    for transport in made.transports:
        transport.close()
    await asyncio.sleep(0)


@pytest.fixture
def clients() -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    yield sockets
    for client in sockets:
        client.close()


def connect(listener: Listener, clients: list[socket.socket], count: int) -> None:
    address = urlsplit(listener.url)
    for _ in range(count):
        client = socket.create_connection((address.hostname, address.port))
        client.setblocking(False)
        clients.append(client)


async def first_bytes(clients: list[socket.socket]) -> list[bytes]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS):
        return await asyncio.gather(*(loop.sock_recv(client, 1) for client in clients))


async def test_a_burst_of_connections_is_set_up_whole(
    listener: Listener, shares: FairShares, made: Made, clients: list[socket.socket]
) -> None:
    connect(listener, clients, MANY)
    listener.start(lambda: Greeting(made))
    await made.first.wait()
    is_shared_out = made.count < MANY and shares.waiting("127.0.0.1") > 0

    assert await first_bytes(clients) == [b"!"] * MANY
    assert is_shared_out


async def test_without_shares_connections_do_not_wait(
    made: Made, clients: list[socket.socket]
) -> None:
    listener = Listener("127.0.0.1", 0, shares=None)
    connect(listener, clients, MANY)
    listener.start(lambda: Greeting(made))

    assert await first_bytes(clients) == [b"!"] * MANY
    listener.close()


async def test_connections_beyond_the_limit_are_closed(
    listener: Listener, made: Made, clients: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fair_shares, "MAX_WAITING", CALLS_AT_ONCE)
    connect(listener, clients, MANY)
    listener.start(lambda: Greeting(made))

    greetings = await first_bytes(clients)
    assert greetings == [b"!"] * 2 * CALLS_AT_ONCE + [b""] * (MANY - 2 * CALLS_AT_ONCE)


async def test_closing_it_closes_the_connections_that_wait(
    listener: Listener, made: Made, clients: list[socket.socket]
) -> None:
    connect(listener, clients, MANY)
    listener.start(lambda: Greeting(made))
    await made.first.wait()
    listener.close()

    greetings = await first_bytes(clients)
    assert set(greetings) == {b"!", b""}
    assert greetings.count(b"!") == made.count < MANY


async def test_it_accepts_again_after_the_process_was_out_of_files(
    listener: Listener, made: Made, clients: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    accepting, failures = listener._socket, [OSError(errno.EMFILE, "")]

    class FullOnce:
        def accept(self) -> tuple[socket.socket, Any]:
            if failures:
                raise failures.pop()
            return accepting.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(accepting, name)

    monkeypatch.setattr(listener, "_socket", FullOnce())
    monkeypatch.setattr(listener_module, "_PAUSE_SECONDS", 0)
    connect(listener, clients, 1)
    reasons: list[str] = []
    listener.start(lambda: Greeting(made), reasons.append)

    assert await first_bytes(clients) == [b"!"]
    assert not failures
    assert reasons == ["EMFILE"]


async def test_it_says_where_it_listens() -> None:
    for host, url in (("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")):
        listener = Listener(host, 0, shares=None)
        assert listener.url.startswith(url)
        listener.close()
