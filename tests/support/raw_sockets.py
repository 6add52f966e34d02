"""Connections of a client that does what it likes: it floods, or it never reads."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.support.http_client import send_raw

_READ_BYTES = 65_536
_TIMEOUT_SECONDS = 60


async def flood(url: str, start: bytes, piece: bytes, at_most: int) -> int:
    """Send ``start``, then ``piece`` again and again until the service hangs up.

    Returns how many bytes could be sent; what the service answers is not read.
    """
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    block, sent = piece * max(1, _READ_BYTES // len(piece)), 0
    with suppress(ConnectionError):
        writer.write(start)
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while sent < at_most and not writer.is_closing():
                writer.write(block)
                await writer.drain()
                sent += len(block)
    writer.transport.abort()
    return sent


async def everything(url: str, request: bytes, own_address: str = "127.0.0.1") -> bytes:
    """All that the service sends after this request, until it closes the connection."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(
        address.hostname, address.port, local_addr=(own_address, 0)
    )
    writer.write(request)
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        received = await reader.read()
    writer.close()
    return received


async def status_of(url: str, request: bytes) -> int:
    """The status of the response to these bytes."""
    async with send_raw(url, request) as live:
        return (await live.whole()).status


@asynccontextmanager
async def unread(
    url: str, request: bytes, connections: int = 1
) -> AsyncIterator[list[socket.socket]]:
    """Connections that have sent the request and read nothing; their receive buffers are small."""
    address = urlsplit(url)
    opened: list[socket.socket] = []
    try:
        for _ in range(connections):
            small = socket.socket()
            opened.append(small)
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            small.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(small, (address.hostname, address.port))
            with suppress(ConnectionError):
                await loop.sock_sendall(small, request)
        yield opened
    finally:
        for small in opened:
            small.close()


async def hang_up(connection: socket.socket) -> None:
    """Wait until the service has reset the connection; nothing is read."""
    await _event(connection, 0)


async def first_bytes(connection: socket.socket) -> None:
    """Wait until an answer has begun; nothing is read."""
    await _event(connection, select.POLLIN)


def answer_so_far(connection: socket.socket) -> bytes:
    """What has arrived of an answer; empty if nothing has, or if the connection was reset."""
    try:
        return connection.recv(65_536, socket.MSG_DONTWAIT)
    except (BlockingIOError, ConnectionResetError):
        return b""


async def _event(connection: socket.socket, kind: int) -> None:
    poll = select.poll()
    poll.register(connection, kind)
    found = await asyncio.to_thread(poll.poll, _TIMEOUT_SECONDS * 1_000)
    assert found, "the service has done nothing"
