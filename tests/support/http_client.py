"""An HTTP/1.1 client for tests that shows exactly what was received.

Written by hand because aiohttp discards the last events of a transfer that breaks off, and because
tests send malformed requests.
"""

import asyncio
import json
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from tests.support.event_stream import Event, event_of, events_in

JSON = {"accept": "application/json"}
_TIMEOUT_SECONDS = 30


@frozen(kw_only=True)
class Answer:
    """A complete response; ``clean`` is False if the transfer broke off."""

    status: int
    headers: Mapping[str, str]
    chunks: tuple[bytes, ...] = ()
    clean: bool = True

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.body
        return str(self.document["code"])

    @property
    def events(self) -> list[Event]:
        assert self.headers["content-type"].startswith("text/event-stream"), self.body
        return events_in(self.body)

    @property
    def session_id(self) -> str:
        """The session id in the first event of a stream."""
        return str(self.events[0].document["sessionId"])


class LiveAnswer:
    """A response that is still being received."""

    def __init__(self, status: int, headers: Mapping[str, str], reader: StreamReader) -> None:
        self.status = status
        self.headers = headers
        self._reader = reader
        self._chunked = headers.get("transfer-encoding") == "chunked"
        self._length = int(headers.get("content-length", "0"))
        self._pending = b""
        self._chunks: list[bytes] = []

    async def chunk(self) -> bytes:
        """The next chunk of the transfer; empty at its end.

        Raises:
            IncompleteReadError: the transfer broke off.
        """
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            size = int(await self._line(), 16) if self._chunked else self._length
            data = await self._reader.readexactly(size)
            if self._chunked:
                await self._line()
        self._length = 0
        self._chunks.append(data)
        return data

    async def _line(self) -> bytes:
        return await self._reader.readuntil(b"\r\n")

    async def event(self) -> Event:
        """The next event of a stream.

        Raises:
            EOFError: the stream has ended.
        """
        while b"\n\n" not in self._pending:
            chunk = await self.chunk()
            if not chunk:
                raise EOFError
            self._pending += chunk
        raw, _, self._pending = self._pending.partition(b"\n\n")
        return event_of(raw + b"\n\n")

    async def until(self, kind: str) -> list[Event]:
        """The events up to and including the next one of this kind."""
        events = [await self.event()]
        while events[-1].kind != kind:
            events.append(await self.event())
        return events

    async def whole(self) -> Answer:
        """The complete response, including what was read before."""
        clean = True
        try:
            while await self.chunk():
                pass
        except IncompleteReadError:
            clean = False
        chunks = tuple(filter(None, self._chunks))
        return Answer(status=self.status, headers=self.headers, chunks=chunks, clean=clean)


@asynccontextmanager
async def send_raw(url: str, request: bytes, *, source: str = "") -> AsyncIterator[LiveAnswer]:
    """The response to exactly these bytes, sent on a new connection from the address ``source``."""
    address = urlsplit(url)
    local = (source, 0) if source else None
    reader, writer = await asyncio.open_connection(address.hostname, address.port, local_addr=local)
    try:
        writer.write(request)
        yield await _read_head(reader)
    finally:
        await _close(writer)


async def _read_head(reader: StreamReader) -> LiveAnswer:
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return LiveAnswer(
        int(status.split()[1]), {name.lower(): value for name, value in pairs}, reader
    )


async def _close(writer: StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Client:
    """Calls one server; like a browser it keeps the cookie that the server sets."""

    def __init__(self, url: str, **headers: str) -> None:
        """``headers`` are sent with every request; ``_`` in a name stands for ``-``.

        ``source`` is the address that requests come from; an empty one is chosen by the system.
        """
        self.url = url
        self.headers = {"host": urlsplit(url).netloc, **_header_names(headers)}
        self.cookie: str | None = None
        self.source = ""

    @asynccontextmanager
    async def open(
        self, method: str, path: str, body: bytes | None = None, /, **headers: str
    ) -> AsyncIterator[LiveAnswer]:
        cookie = {"cookie": self.cookie} if self.cookie else {}
        length = {} if body is None else {"content-length": str(len(body))}
        sent = {**self.headers, **cookie, **length, **_header_names(headers)}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {sent[name]}" for name in sent)]
        request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
        async with send_raw(self.url, request, source=self.source) as live:
            self._keep_cookie(live.headers.get("set-cookie"))
            yield live

    def _keep_cookie(self, set_cookie: str | None) -> None:
        if set_cookie is not None:
            self.cookie = None if "Max-Age=0" in set_cookie else set_cookie.partition(";")[0]

    async def call(
        self, method: str, path: str, body: bytes | None = None, /, **headers: str
    ) -> Answer:
        async with self.open(method, path, body, **headers) as live:
            return await live.whole()

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def delete(self, path: str, **headers: str) -> Answer:
        return await self.call("DELETE", path, **headers)

    async def post(self, path: str, document: object, **headers: str) -> Answer:
        return await self._send("POST", path, document, headers)

    async def patch(self, path: str, document: object, **headers: str) -> Answer:
        return await self._send("PATCH", path, document, headers)

    async def _send(
        self, method: str, path: str, document: object, headers: Mapping[str, str]
    ) -> Answer:
        headers = {"content_type": "application/json", **headers}
        return await self.call(method, path, json.dumps(document).encode(), **headers)


def _header_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
