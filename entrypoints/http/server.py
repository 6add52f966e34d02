"""Serves the ASGI app with uvicorn, inside the caller's own event loop.

It adds what uvicorn lacks: the caller keeps its signal handlers, a failed startup raises one
exception with its cause, and request heads are limited in size and time. Beyond the connection
limit, only new connections are refused. The app itself limits slow bodies and slow readers.
"""

import asyncio
import logging
import math
import socket
from asyncio import CancelledError, Event, TimerHandle, Transport
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any, Final

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.http.middleware import MAX_URL_BYTES
from entrypoints.http.problems import problem_of_code

BACKLOG: Final = 4096
HEAD_MAX_BYTES: Final = 65_536
HEAD_SECONDS: Final = 10
# Common proxies keep a connection for 60 seconds. If we closed it first, a request that a proxy
# sends at that moment would be lost.
KEEP_ALIVE_SECONDS: Final = 75


class StartupFailed(Exception):
    """The app did not start; its exception is the cause."""


class ShutdownFailed(Exception):
    """The app was served but failed while shutting down; its exception is the cause."""


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    max_connections: int,
    stopping: Event,
    announce: Callable[[str], None],
    grace: timedelta = timedelta(seconds=5),
) -> None:
    """Serve until ``stopping`` is set. Then open responses may finish within ``grace``.

    ``grace`` is rounded up to whole seconds. ``announce`` gets the URL once the service listens.
    Set ``stopping`` only after running turns have drained: new requests are answered until then.

    Raises:
        OSError: the address cannot be used.
        StartupFailed, ShutdownFailed: the app failed.
    """
    lifespan = _Lifespan(app)
    server = _Server(_config(lifespan, max_connections, grace))
    with closing(_listen(host, port)) as listener, _silence_expected_endings():
        try:
            await server.serve_until(stopping, listener, announce)
        except SystemExit:
            raise StartupFailed from lifespan.failure
    if lifespan.failure is not None:
        raise ShutdownFailed from lifespan.failure


def _listen(host: str, port: int) -> socket.socket:
    # Only the first address of a name is used. reuse_port stays off: it would allow two services
    # to share the port.
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    dual = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual)


def _config(app: ASGIApp, max_connections: int, grace: timedelta) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        limit_concurrency=max_connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(grace.total_seconds()),
        backlog=BACKLOG,  # uvicorn calls listen() again, so the backlog must be repeated here.
        proxy_headers=False,  # Otherwise any local process could forge X-Forwarded-For.
        server_header=False,
        access_log=False,  # Paths contain session ids.
        log_config=None,  # The process that calls serve() sets up logging.
        log_level=logging.WARNING,
    )


@contextmanager
def _silence_expected_endings() -> Iterator[None]:
    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(_is_unexpected)
    try:
        yield
    finally:
        logger.removeFilter(_is_unexpected)


def _is_unexpected(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    # The app breaks a failed stream off on purpose.
    is_failed_stream = "without completing response" in record.msg
    return not (is_failed_stream or isinstance(error, CancelledError))


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # The caller handles signals.

    async def serve_until(
        self, stopping: Event, listener: socket.socket, announce: Callable[[str], None]
    ) -> None:
        self._announce, self._listener = announce, listener
        watcher = asyncio.create_task(self._exit_when(stopping))
        try:
            await self.serve([listener])
        except CancelledError:
            if self.started:
                await self.shutdown([listener])
            raise
        finally:
            watcher.cancel()
            for connection in list(self.server_state.connections):
                # A connection outlives its task if the client does not read.
                connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce(_url(self._listener))

    async def _exit_when(self, stopping: Event) -> None:
        await stopping.wait()
        self.should_exit = True


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Lifespan:
    """Wraps the app and keeps the exception of its lifespan, which uvicorn would only log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self._app(scope, receive, send)
        sent: list[str] = []

        async def send_type_only(message: Message) -> None:
            sent.append(message["type"])
            await send({"type": message["type"]})  # The message of a failure is a traceback.

        try:
            await self._app(scope, receive, send_type_only)
        except Exception as error:  # noqa: BLE001 - raised again by serve()
            self.failure = error
            if not sent or sent == ["lifespan.startup.complete"]:
                await send({"type": f"lifespan.{'shutdown' if sent else 'startup'}.failed"})


class BoundedConnection(HttpToolsProtocol):
    """One connection, with limits on the bytes and the time of each request head.

    uvicorn itself limits neither. In a burst, its own ``limit_concurrency`` also refuses
    connections within the limit; this class refuses only those beyond it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # None, so that uvicorn's own check does not run.
        self._max_connections, self.limit_concurrency = self.limit_concurrency, None
        self._in_head = False
        self._head_bytes = 0
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._max_connections is not None and len(self.connections) > self._max_connections:
            self.app = _refusal()
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        if self._in_head:
            self._start_deadline()
            self._head_bytes = self._head_bytes + len(data) if was_in_head else 0
            if self._head_bytes > HEAD_MAX_BYTES:
                self.transport.abort()
        elif self.timeout_keep_alive_task is None and self._is_idle():
            # Bytes between two requests have cancelled uvicorn's own keep-alive timeout.
            self._start_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        # One byte more than allowed, so that the app answers it as too long. uvicorn would decode
        # all of it before the app sees it.
        self.url = (self.url + url)[: MAX_URL_BYTES + 1]

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_deadline()
        super().on_headers_complete()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._expire)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self._is_idle():
            self.transport.abort()


def _refusal() -> Response:
    response = problem_of_code("too_many_connections").response()
    response.headers["connection"] = "close"
    return response
