"""The HTTP requests of one session with a tool server. What is read is limited.

If a request raises an exception, the library ends the whole session. So a failure becomes a
response here, and its cause is kept for the caller.
"""

from collections.abc import AsyncIterator
from typing import Final

import httpx2
from attrs import frozen

MAX_RECEIVED_BYTES: Final = 2_097_152
"""Limit on everything that a server sends in one session. What is read is held in memory."""

SECONDS_TO_LEAVE: Final = 2.0
"""How long a request may take that only ends a session."""

_BROKEN: Final = 502
_TRANSIENT: Final = frozenset({502, 503, 504})
_BODY_TYPES: Final = ("application/json", "text/event-stream")


@frozen(kw_only=True)
class HttpFailure:
    """Why a request has no usable response.

    Attributes:
        reason: a word for the operator's log.
        status: HTTP status of the response; None if there was none.
    """

    reason: str
    status: int | None = None

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.reason in ("unreachable", "lost") or self.status in _TRANSIENT


class HttpExchange(httpx2.AsyncBaseTransport):
    """Sends the requests of one session over connections that several sessions share."""

    def __init__(self, connections: httpx2.AsyncBaseTransport) -> None:
        self._connections = connections
        self._received = 0
        self.failure: HttpFailure | None = None
        """What went wrong first; None if every request got a usable response."""
        self.status: int | None = None
        """HTTP status of the last response to a message; None if there was none."""
        self.is_abandoned = False
        """Whether nobody waits for the session any more: what is still sent gets little time."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The server's response; one with an error status if there is none."""
        if request.method == "GET" and "last-event-id" not in request.headers:
            # A stream for messages that nobody asked for. "Not allowed" is a usual answer to it.
            return httpx2.Response(405)
        if self.failure is not None and not self._may_follow(request):
            return httpx2.Response(_BROKEN)
        if self.is_abandoned or request.method == "DELETE":
            patience = httpx2.Timeout(SECONDS_TO_LEAVE).as_dict()
            request.extensions = {**request.extensions, "timeout": patience}
        try:
            response = await self._connections.handle_async_request(request)
        except (httpx2.TransportError, OSError) as error:
            is_connected = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            self._fail(HttpFailure(reason="lost" if is_connected else "unreachable"))
            return httpx2.Response(_BROKEN)
        return await self._checked(request, response)

    async def aclose(self) -> None:
        """Does nothing: the connections are shared."""

    def _may_follow(self, request: httpx2.Request) -> bool:
        """Whether a request may be sent after a failure: to fetch the rest or end the session."""
        is_cut = self.failure is not None and self.failure.reason == "lost"
        return request.method == "DELETE" or (is_cut and request.method == "GET")

    async def _checked(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if request.method == "POST":
            self.status = response.status_code
        failure = _failure(request, response)
        if failure is not None:
            await response.aclose()
            self._fail(failure)
            return httpx2.Response(_BROKEN)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedBody(self, response),
            extensions=response.extensions,
        )

    def _fail(self, failure: HttpFailure) -> None:
        self.failure = self.failure or failure

    async def read(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """The bytes of a response. They end early if the connection is lost, or at the limit."""
        try:
            async for chunk in response.aiter_raw():
                self._received += len(chunk)
                if self._received > MAX_RECEIVED_BYTES:
                    self._fail(HttpFailure(reason="too-large"))
                    return
                yield chunk
        except (httpx2.TransportError, OSError):
            self._fail(HttpFailure(reason="lost"))


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, exchange: HttpExchange, response: httpx2.Response) -> None:
        self._exchange = exchange
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._exchange.read(self._response)

    async def aclose(self) -> None:
        await self._response.aclose()


def _failure(request: httpx2.Request, response: httpx2.Response) -> HttpFailure | None:
    """What is wrong with the head of a response; None if its body can be read."""
    status, headers = response.status_code, response.headers
    if headers.get("content-encoding", "identity") != "identity":
        # We ask for none. A few packed bytes can become gigabytes.
        return HttpFailure(reason="encoded", status=status)
    if request.method != "POST" or status == httpx2.codes.ACCEPTED:
        return None
    if status in _TRANSIENT:
        return HttpFailure(reason="status", status=status)
    is_body = headers.get("content-type", "").lower().startswith(_BODY_TYPES)
    if status == httpx2.codes.OK and not is_body:
        return HttpFailure(reason="not-mcp", status=status)
    return None
