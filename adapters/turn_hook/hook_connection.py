"""One connection to the hook: sends a request, and collects the bounded response.

aiohttp would do it too, but it takes about five times the CPU for each request.
"""

import asyncio
from typing import Final, cast

import httptools
from attrs import frozen

MAX_ANSWER_BYTES: Final = 1_048_576
_MAX_RESPONSE_BYTES: Final = MAX_ANSWER_BYTES + 65_536
"""The head of a response, and what its transfer encoding adds, count too."""

_FIRST_FINAL_STATUS: Final = 200
_NO_CONTENT: Final = 204


class ExchangeFailed(Exception):
    """There is no usable response.

    Attributes:
        reason: a word for the log.
        is_early: whether the connection ended before a byte of the response came.
    """

    def __init__(self, reason: str, *, is_early: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_early = is_early


@frozen(kw_only=True)
class HttpResponse:
    """A response with its whole body; the names of its headers are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class HookConnection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    Attributes:
        is_reusable: whether the connection can carry another exchange.
    """

    def __init__(self) -> None:
        self.is_reusable = True
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[HttpResponse] | None = None
        self._is_tunnel_request = False
        self._received = 0
        self._headers: dict[bytes, bytes] = {}
        self._body = bytearray()
        self._has_head = False
        self._parser = httptools.HttpResponseParser(self)

    @property
    def transport(self) -> asyncio.Transport:
        """The transport of the connection."""
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop, again after the start of TLS within a tunnel."""
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    async def exchange(self, request: bytes, *, opens_tunnel: bool = False) -> HttpResponse:
        """Send ``request``, and return the response. Cancelling it closes the connection.

        If it ``opens_tunnel``, the response ends with its head.

        Raises:
            ExchangeFailed: there is no usable response. The connection is closed.
        """
        self._answer = asyncio.get_running_loop().create_future()
        self._is_tunnel_request = opens_tunnel
        self._parser = httptools.HttpResponseParser(self)
        self._received, self._has_head = 0, False
        self._transport.write(request)
        if self._transport.is_closing():
            self._fail("closed")
        try:
            response = await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer = None
        if not self.is_reusable or self._transport.get_write_buffer_size():
            self.close()
        return response

    def close(self) -> None:
        """Close the connection at once."""
        self.is_reusable = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._answer is None or self._answer.done():
            # Nobody asked for it, so it must not become the answer to the next request.
            self.close()
            return
        self._received += len(data)
        if self._received > _MAX_RESPONSE_BYTES:
            self._fail("too-large")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # What follows a whole response does not concern it.
            self.is_reusable = False
            self._fail("not-http")

    def connection_lost(self, _: Exception | None) -> None:
        """Called by the event loop."""
        self.is_reusable = False
        if self._has_head and not self._has_end():
            self._finish()
        else:
            self._fail("closed", is_early=self._received == 0)

    def on_message_begin(self) -> None:
        """Called by the parser, before each response."""
        if self._answer is not None and self._answer.done():
            self.is_reusable = False
        self._headers, self._body, self._has_head = {}, bytearray(), False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._has_head = self._parser.get_status_code() >= _FIRST_FINAL_STATUS
        if self._has_head and self._is_tunnel_request:
            self._finish()

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        self._body += data
        if len(self._body) > MAX_ANSWER_BYTES:
            self._fail("too-large")

    def on_message_complete(self) -> None:
        """Called by the parser; a response such as 103 precedes the one that counts."""
        if self._has_head:
            self.is_reusable = self.is_reusable and self._parser.should_keep_alive()
            self._finish()

    def _has_end(self) -> bool:
        """Whether the response says where it ends; otherwise the connection ends with it."""
        named = self._headers.keys() & {b"content-length", b"transfer-encoding"}
        return bool(named) or self._parser.get_status_code() == _NO_CONTENT

    def _finish(self) -> None:
        if self._answer is not None and not self._answer.done():
            response = HttpResponse(
                status=self._parser.get_status_code(),
                headers=self._headers,
                body=bytes(self._body),
            )
            self._answer.set_result(response)

    def _fail(self, reason: str, *, is_early: bool = False) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ExchangeFailed(reason, is_early=is_early))
