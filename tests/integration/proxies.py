"""Networks that misbehave when a test tells them to."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from attrs import define, field

Answering = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@define
class Proxy:
    """Relays between clients and a server until it is told to cut."""

    target: int
    port: int = 0
    accepted: int = 0
    answers_to_lose: int = 0
    _tasks: set[asyncio.Task[None]] = field(factory=set)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.accepted += 1
        upstream, sending = await asyncio.open_connection("127.0.0.1", self.target)
        both = asyncio.gather(_pump(reader, sending), self._answering(upstream, writer))
        task = asyncio.ensure_future(_until_done(both, writer, sending))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(asyncio.CancelledError):
            await task

    async def _answering(self, upstream: StreamReader, writer: StreamWriter) -> None:
        await _pump(upstream, writer, self._loses_it)

    def _loses_it(self) -> bool:
        """Whether this answer gets lost, and with it the connection."""
        if not self.answers_to_lose:
            return False
        self.answers_to_lose -= 1
        return True

    def cut(self) -> None:
        """Break off everything that is open."""
        for task in self._tasks:
            task.cancel()


async def _pump(
    reader: StreamReader, writer: StreamWriter, is_lost: Callable[[], bool] = lambda: False
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            if is_lost():
                break
            writer.write(data)
            await writer.drain()
    writer.close()


async def _until_done(both: "asyncio.Future[tuple[None, None]]", *writers: StreamWriter) -> None:
    try:
        await both
    finally:
        for writer in writers:
            if writer.transport is not None:
                writer.transport.abort()


@asynccontextmanager
async def listening(answering: Answering, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port, which is yielded."""
    server = await asyncio.start_server(answering, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def proxy_to(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A proxy before a server; with ``tls`` its clients come encrypted."""
    proxy = Proxy(port)
    async with listening(proxy.serve, tls) as own:
        proxy.port = own
        try:
            yield proxy
        finally:
            proxy.cut()
            await asyncio.sleep(0)
