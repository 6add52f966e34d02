"""Serves the ASGI app with uvicorn, inside the caller's own event loop.

Added because uvicorn lacks it: signals stay with the caller, and a failed startup is one
exception with its cause. Slow bodies and readers are bounded by the app, not here.

One connection whose request heads are bounded in bytes and time.

uvicorn keeps the head of a request in memory however long it grows, waits for its end for ever,
and past `limit_concurrency` refuses, in a burst, also the connections within the limit.
"""

import asyncio
import logging
import math
import socket
from asyncio import CancelledError, Event, TimerHandle, Transport
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.http.problems import problem_of_code

HEAD_MAX_BYTES = 65_536
HEAD_SECONDS = 10


class BoundedConnection(HttpToolsProtocol):
    """Past `limit_concurrency` only newcomers are refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Taken from uvicorn: in a burst its own check refuses also those within the limit.
        self._max_connections, self.limit_concurrency = self.limit_concurrency, None
        self._in_head, self._head_bytes = False, 0
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
            self._start_deadline()  # Bytes between requests have ended uvicorn's own time-out.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_deadline()
        super().on_headers_complete()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._is_idle():
            self.transport.abort()


def _refusal() -> Response:
    answer = problem_of_code("too_many_connections").response()
    answer.headers["connection"] = "close"
    return answer


BACKLOG = 4096
KEEP_ALIVE_SECONDS = 75  # Longer than a proxy's 60, which would else send into a closing one.


class StartupFailed(Exception):
    """The app did not start; what it raised is the cause."""


class ShutdownFailed(Exception):
    """The app was served, but could not close what it had opened; what it raised is the cause."""


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
    """Serve until `stopping` is set, then give open responses `grace`, rounded up to seconds.

    `announce` gets the URL once the service listens.

    While running turns drain, keep `stopping` unset: new requests are then still answered.
    Raises OSError when the address cannot be had, StartupFailed and ShutdownFailed.
    """
    lifespan = _Lifespan(app)
    server = _Server(_config(lifespan, max_connections, grace))
    with closing(_listening(host, port)) as listener, _expected_endings_unlogged():
        try:
            await server.serve_until(stopping, listener, announce)
        except SystemExit:
            raise StartupFailed from lifespan.failure
    if lifespan.failure is not None:
        raise ShutdownFailed from lifespan.failure


def _listening(host: str, port: int) -> socket.socket:
    # The first address a name has; without reuse_port, or two services would share the port.
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
        backlog=BACKLOG,  # Listens once more on the socket, so it is said twice.
        proxy_headers=False,  # Else X-Forwarded-For is believed from every local process.
        server_header=False,
        access_log=False,  # Paths hold session ids.
        log_config=None,  # Logging is set up by whoever starts the process.
        log_level=logging.WARNING,
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # Signals stay with the caller.

    async def serve_until(
        self, stopping: Event, listener: socket.socket, announce: Callable[[str], None]
    ) -> None:
        self._announce, self._listener = announce, listener
        watcher = asyncio.create_task(self._leave_when(stopping))
        try:
            await self.serve([listener])
        except CancelledError:
            if self.started:
                await self.shutdown([listener])
            raise
        finally:
            watcher.cancel()
            for connection in list(self.server_state.connections):
                connection.transport.abort()  # A client that reads nothing outlives its task.

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce(_address(self._listener))

    async def _leave_when(self, stopping: Event) -> None:
        await stopping.wait()
        self.should_exit = True


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Lifespan:
    """The app, keeping what its lifespan raised, which uvicorn would only log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self._app(scope, receive, send)
        answers: list[str] = []

        async def answer(message: Message) -> None:
            answers.append(message["type"])
            await send({"type": message["type"]})  # The text of a failure is a traceback.

        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - raised again by serve()
            self.failure = error
            if not answers or answers == ["lifespan.startup.complete"]:
                await send({"type": f"lifespan.{'shutdown' if answers else 'startup'}.failed"})


@contextmanager
def _expected_endings_unlogged() -> Iterator[None]:
    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(_is_unexpected)
    try:
        yield
    finally:
        logger.removeFilter(_is_unexpected)


def _is_unexpected(record: logging.LogRecord) -> bool:
    raised = record.exc_info[1] if record.exc_info else None
    on_purpose = "without completing response" in record.msg  # How a failed stream ends.
    return not (on_purpose or isinstance(raised, CancelledError))
