"""Server-sent events: LF line ends, first bytes at once, a heartbeat while nothing happens.

Written by hand because the widget's parser needs LF only, and because an ended stream must be told
from a broken one: see ``EventStream``.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Final

import msgspec
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT: Final = b": ping\n\n"
DONE: Final = b"data: [DONE]\n\n"
_PADDED_TO: Final = 64
_PADDING_HEADROOM: Final = len(b',"obfuscation":""')

_STUCK_AFTER: Final = timedelta(seconds=60)
BREAK_DELAY: Final = timedelta(milliseconds=100)
"""A browser drops what it has not handed over yet when a transfer breaks, so that comes later."""

HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
    "x-vercel-ai-ui-message-stream": "v1",
}


class StreamBroken(Exception):
    """Raised by the events of a stream that must not end cleanly: clients take that for success."""


def event(document: Mapping[str, object], *, name: str = "", cursor: str = "") -> bytes:
    """One event; ``cursor`` becomes its ``id``, at which a client may resume."""
    return _framed(msgspec.json.encode(document), name, cursor)


def padded_event(document: Mapping[str, object], *, name: str = "", cursor: str = "") -> bytes:
    """One event padded with random characters to a multiple of 64 bytes.

    The sizes of streamed pieces give topics away, even through TLS.
    """
    plain = _framed(msgspec.json.encode(document), name, cursor)
    missing = -(len(plain) + _PADDING_HEADROOM) % _PADDED_TO
    padding = os.urandom((missing + 1) // 2).hex()[:missing]
    body = msgspec.json.encode(document)[:-1] + b',"obfuscation":"' + padding.encode() + b'"}'
    return _framed(body, name, cursor)


def _framed(body: bytes, name: str, cursor: str) -> bytes:
    head = (f"event: {name}\n" if name else "") + (f"id: {cursor}\n" if cursor else "")
    return head.encode() + b"data: " + body + b"\n\n"


class EventStream(Response):
    """Streams chunks of events until they end, break, or the client leaves.

    Following is all it does: leaving early costs nobody anything. A stream whose events raise
    ``StreamBroken`` ends without its last chunk, so that the transfer counts as broken.
    """

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], *, headers: Mapping[str, str] | None = None
    ) -> None:
        """``chunks`` are sent as they are, each holding one or more whole events."""
        self.status_code = 200
        self.media_type = "text/event-stream"
        self.background: BackgroundTask | None = None
        self._chunks = chunks
        self.body = b""
        self.init_headers({**HEADERS, **(headers or {})})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Answer one request."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        relay = asyncio.create_task(self._relay(send))
        watcher = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({relay, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watcher.cancel()
            relay.cancel()
            await asyncio.wait({relay, watcher})
        # Returning without a last chunk is how this server ends a transfer uncleanly.
        with suppress(asyncio.CancelledError, StreamBroken, TimeoutError):
            relay.result()

    async def _relay(self, send: Send) -> None:
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    async with asyncio.timeout(_STUCK_AFTER.total_seconds()):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except StreamBroken:
            await asyncio.sleep(BREAK_DELAY.total_seconds())
            raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
