"""Model servers with any paths and certificates, and an HTTP proxy in front of them."""

import asyncio
import base64
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
from aiohttp import web
from attrs import define, field

from tests.support.model_server import ModelResponse
from tests.support.proxies import listening

LIST = b'{"object": "list", "data": [{"id": "small-1"}, {"id": "large-1"}]}'
A_LIST = ModelResponse(headers={"content-type": "application/json"}, chunks=(LIST,))
_TIMEOUT_SECONDS = 20
NOT_FOUND = ModelResponse(status=404, headers={"content-type": "text/plain"}, chunks=(b"404",))


@define
class OddModelServer:
    """Answers by path; every other path gets 404."""

    answers: Mapping[str, ModelResponse]
    origin: str = ""
    requests: list[tuple[str, str]] = field(factory=list)
    keys: list[str | None] = field(factory=list)
    bodies: list[bytes] = field(factory=list)
    _arrived: asyncio.Event = field(factory=asyncio.Event)

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    async def until_requests(self, count: int) -> None:
        """Return once ``count`` requests have arrived."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while len(self.bodies) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self.keys.append(request.headers.get("authorization"))
        self.bodies.append(await request.read())
        self._arrived.set()
        planned = self.answers.get(request.path, NOT_FOUND)
        response = web.StreamResponse(status=planned.status, headers=planned.headers)
        await response.prepare(request)
        for chunk in planned.chunks:
            if chunk is not None:
                await response.write(chunk)
        if planned.hangs:
            await asyncio.Future[None]()
        return response


@asynccontextmanager
async def odd_model_server(
    answers: Mapping[str, ModelResponse], tls: ssl.SSLContext | None = None
) -> AsyncIterator[OddModelServer]:
    server = OddModelServer(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        scheme = "http" if tls is None else "https"
        server.origin = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


@define
class ForwardProxy:
    """An HTTP proxy that connects every host name to one port of this machine.

    Attributes:
        login: what clients have to send as ``user:password``; None if they need not.
        heads: the first line and the headers of each request.
    """

    target: int
    login: str | None = None
    port: int = 0
    heads: list[str] = field(factory=list)

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [head.partition("\r\n")[0] for head in self.heads]

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, _, headers = head.partition("\r\n")
        self.heads.append(head)
        if self.login is not None:
            expected = base64.b64encode(self.login.encode()).decode()
            if f"proxy-authorization: basic {expected}".lower() not in headers.lower():
                writer.write(b"HTTP/1.1 407 Login\r\ncontent-length: 0\r\n\r\n")
                writer.close()
                return
        upstream, sending = await asyncio.open_connection("127.0.0.1", self.target)
        if line.startswith("CONNECT "):
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            method, url, version = line.split(" ")
            path = "/" + url.split("/", 3)[3]
            sending.write(f"{method} {path} {version}\r\n{headers}".encode())
        await asyncio.gather(_relay(reader, sending), _relay(upstream, writer))


@asynccontextmanager
async def forward_proxy(target: int, login: str | None = None) -> AsyncIterator[ForwardProxy]:
    proxy = ForwardProxy(target, login)
    async with listening(proxy.serve) as port:
        proxy.port = port
        yield proxy


@contextmanager
def no_names() -> Iterator[None]:
    """No host name is found, and no name server is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", _fail)
        yield


def _fail(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def _relay(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
