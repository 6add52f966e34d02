"""Server-sent events with LF line endings, and a response that streams them.

Written by hand because the widget's parser accepts only LF, and because clients must be able to
tell a complete stream from a broken one: see ``EventStream``.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT: Final = b": ping\n\n"
DONE: Final = b"data: [DONE]\n\n"
HEARTBEAT_INTERVAL: Final = timedelta(seconds=4)
BREAK_DELAY: Final = timedelta(milliseconds=100)
"""The wait before a transfer is broken off. A browser then drops what the page has not read."""

_PADDED_SIZE: Final = 64
_PADDING_MEMBER_BYTES: Final = len(b',"obfuscation":""')

HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
    "x-vercel-ai-ui-message-stream": "v1",
}


class StreamBroken(Exception):
    """Raised by a stream that must not end cleanly: clients would take a clean end for success."""


def event(document: Mapping[str, object] | Struct, *, name: str = "", cursor: str = "") -> bytes:
    """One event; ``cursor`` is sent as its ``id``, so that a client can resume after it."""
    return _frame(msgspec.json.encode(document), name, cursor)


def padded_event(
    document: Mapping[str, object] | Struct, *, name: str = "", cursor: str = ""
) -> bytes:
    """One event, padded with random characters to a multiple of 64 bytes.

    Without padding, the sizes of streamed pieces would reveal topics, even through TLS.
    """
    body = msgspec.json.encode(document)
    unpadded_size = len(_frame(body, name, cursor)) + _PADDING_MEMBER_BYTES
    missing = -unpadded_size % _PADDED_SIZE
    padding = os.urandom((missing + 1) // 2).hex()[:missing]
    padded = body[:-1] + b',"obfuscation":"' + padding.encode() + b'"}'
    return _frame(padded, name, cursor)


def _frame(body: bytes, name: str, cursor: str) -> bytes:
    head = (f"event: {name}\n" if name else "") + (f"id: {cursor}\n" if cursor else "")
    return head.encode() + b"data: " + body + b"\n\n"


class EventStream(Response):
    """Streams events until they end or break off, or the client disconnects.

    If the generator raises ``StreamBroken``, the response ends without its last chunk, and the
    client sees a broken transfer. If the client disconnects, the generator is closed.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """Each of ``chunks`` holds one or more complete events, and is sent unchanged.

        ``on_end`` is called when the stream has ended, however it ends.
        """
        self.status_code = HTTPStatus.OK
        self.media_type = "text/event-stream"
        self.background: BackgroundTask | None = None
        self._chunks = chunks
        self._on_end = on_end
        self.body = b""
        self.init_headers({**HEADERS, **(headers or {})})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the response."""
        try:
            await self._stream(receive, send)
        finally:
            if self._on_end is not None:
                self._on_end()

    async def _stream(self, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        relay = asyncio.create_task(self._relay(send))
        watcher = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({relay, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watcher.cancel()
            relay.cancel()
            await asyncio.wait({relay, watcher})
        # If the app returns without a last chunk, the server breaks the transfer off.
        with suppress(asyncio.CancelledError, StreamBroken):
            relay.result()

    async def _relay(self, send: Send) -> None:
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except StreamBroken:
            await asyncio.sleep(BREAK_DELAY.total_seconds())
            raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
