"""Servers and proxies that fail when a test tells them to."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from attrs import define, field

_TIMEOUT_SECONDS = 20
ConnectionHandler = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@define
class Proxy:
    """Relays between clients and a server until ``cut``."""

    target: int
    port: int = 0
    accepted: int = 0
    answers_to_lose: int = 0
    _open: dict[asyncio.Task[None], asyncio.Task[None] | None] = field(factory=dict)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.accepted += 1
        relaying = asyncio.ensure_future(self._relay(reader, writer))
        self._open[relaying] = asyncio.current_task()
        # Aborted here and not in the task, because a cut may end the task before it starts.
        async with _aborted(writer):
            with suppress(asyncio.CancelledError):
                await relaying

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        upstream, sending = await asyncio.open_connection("127.0.0.1", self.target)
        async with _aborted(sending):
            await asyncio.gather(
                _pump(reader, sending, on_data=self._on_command),
                _pump(upstream, writer, self._loses_answer),
            )

    def _on_command(self, data: bytes) -> None:
        """Called before data is passed to the server."""

    def _loses_answer(self) -> bool:
        """Whether this answer is lost, and the connection with it."""
        if not self.answers_to_lose:
            return False
        self.answers_to_lose -= 1
        return True

    def cut(self) -> None:
        """Abort all open connections."""
        for relaying in self._open:
            relaying.cancel()

    async def close(self) -> None:
        """Abort all connections, and return once they are closed."""
        self.cut()
        if serving := [task for task in self._open.values() if task is not None]:
            await asyncio.wait(serving)


@define
class LosingProxy(Proxy):
    """Loses the answer to one command, and then relays nothing until told to.

    Attributes:
        losing: the command contains these bytes; empty to lose none.
        lost: set once the server has answered the command.
        goes_on: set by the test to relay again.
    """

    losing: bytes = b""
    lost: asyncio.Event = field(factory=asyncio.Event)
    goes_on: asyncio.Event = field(factory=asyncio.Event)
    _is_sent: bool = False

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self.lost.is_set():
            await self.goes_on.wait()
        await super()._relay(reader, writer)

    def _on_command(self, data: bytes) -> None:
        self._is_sent = self._is_sent or bool(self.losing and self.losing in data)

    def _loses_answer(self) -> bool:
        if self._is_sent:
            self.lost.set()
        return self.lost.is_set() and not self.goes_on.is_set()


AnyProxy = TypeVar("AnyProxy", bound=Proxy)


async def _pump(
    reader: StreamReader,
    writer: StreamWriter,
    is_lost: Callable[[], bool] = lambda: False,
    *,
    on_data: Callable[[bytes], None] = lambda _: None,
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            on_data(data)
            if is_lost():
                break
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def _aborted(writer: StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if writer.transport is not None:
            writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(
    handler: ConnectionHandler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Run a server; yields its port."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # wait_closed() is called first: after close(), it returns at once in Python 3.11.
        closing = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        server.close()
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await closing


@asynccontextmanager
async def proxy_to(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A proxy in front of a server; with ``tls`` its clients must connect with TLS."""
    async with _running(Proxy(port), tls) as proxy:
        yield proxy


@asynccontextmanager
async def losing_proxy_to(port: int) -> AsyncIterator[LosingProxy]:
    """A proxy in front of a server that can lose the answer to one command."""
    async with _running(LosingProxy(port), None) as proxy:
        yield proxy


@asynccontextmanager
async def _running(proxy: AnyProxy, tls: ssl.SSLContext | None) -> AsyncIterator[AnyProxy]:
    async with listening(proxy.serve, tls) as own:
        proxy.port = own
        try:
            yield proxy
        finally:
            await proxy.close()
