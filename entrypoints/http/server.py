"""Serves the ASGI app with uvicorn, inside the caller's own event loop.

It adds what uvicorn lacks: the caller keeps its signal handlers, a failed startup raises one
exception with its cause, each connection has limits (``connection.py``), and a client that does not
read its answers is cut off. Beyond the connection limit, only new connections are refused. The app
itself limits slow bodies.
"""

import asyncio
import logging
import math
import socket
from asyncio import CancelledError, Event
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.connection import BoundedConnection
from entrypoints.http.fair_shares import FairShares
from entrypoints.http.listener import Listener
from entrypoints.http.services import Services

# Common proxies keep a connection for 60 seconds. If we closed it first, a request that a proxy
# sends at that moment would be lost.
KEEP_ALIVE_SECONDS: Final = 75
UNREAD_TIMEOUT: Final = timedelta(seconds=60)

_CHECKS_PER_TIMEOUT: Final = 12

_CAUSED_BY_CLIENTS: Final = (
    "Invalid HTTP request",
    "Unsupported upgrade request",
    "No supported WebSocket library",
)


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
    unread_timeout: timedelta = UNREAD_TIMEOUT,
    behind_proxies: bool = False,
) -> None:
    """Serve until ``stopping`` is set. Then open responses may finish within ``grace``.

    ``grace`` is rounded up to whole seconds. ``announce`` gets the URL once the service listens.
    A client that takes no byte of an answer for ``unread_timeout`` is cut off. The
    connections of one address are limited, unless ``behind_proxies`` is true: a proxy connects for
    many clients.
    Set ``stopping`` only after running turns have drained: new requests are answered until then.

    Raises:
        OSError: the address cannot be used.
        StartupFailed, ShutdownFailed: the app failed.
    """
    lifespan = _Lifespan(app)
    shares = None if behind_proxies else FairShares()
    config = _config(lifespan, max_connections, grace, shares)
    with closing(Listener(host, port, shares=shares)) as listener, _silence_expected_endings():
        server = _Server(config, listener, unread_timeout)
        try:
            await server.serve_until(stopping, announce)
        except SystemExit:
            raise StartupFailed from lifespan.failure
    if lifespan.failure is not None:
        raise ShutdownFailed from lifespan.failure


def _config(
    app: ASGIApp, max_connections: int, grace: timedelta, shares: FairShares | None
) -> uvicorn.Config:
    networks = None if shares is None else Counter[str]()
    return uvicorn.Config(
        app,
        http=partial(BoundedConnection, networks=networks, shares=shares),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        limit_concurrency=max_connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(grace.total_seconds()),
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
    # Whoever connects can cause these as often as they like, and fill the log.
    is_malformed_request = record.msg.startswith(_CAUSED_BY_CLIENTS)
    return not (is_failed_stream or is_malformed_request or isinstance(error, CancelledError))


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, listener: Listener, unread_timeout: timedelta
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._unread_timeout = unread_timeout.total_seconds()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # The caller handles signals.

    async def serve_until(self, stopping: Event, announce: Callable[[str], None]) -> None:
        self._announce = announce
        helpers = [
            asyncio.create_task(self._exit_when(stopping)),
            asyncio.create_task(self._abort_stalled_connections()),
        ]
        try:
            await self.serve([])
        except CancelledError:
            if self.started:
                await self.shutdown()
            raise
        finally:
            for helper in helpers:
                helper.cancel()
            for connection in list(self.server_state.connections):
                # A connection outlives its task if the client does not read.
                connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listener.start(self._new_connection, self._report_pause)
        self._announce(self._listener.url)

    def _report_pause(self, reason: str) -> None:
        services: Services | None = self.lifespan.state.get("services")
        if services is not None:
            services.telemetry.emit("connections.paused", reason=reason)

    def _new_connection(self) -> BoundedConnection:
        connection: BoundedConnection = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return connection

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._listener.close()
        await super().shutdown(sockets)

    async def _exit_when(self, stopping: Event) -> None:
        await stopping.wait()
        self.should_exit = True

    async def _abort_stalled_connections(self) -> None:
        loop = asyncio.get_running_loop()
        # One pass over all connections costs less than a timer for each response.
        while True:
            await asyncio.sleep(self._unread_timeout / _CHECKS_PER_TIMEOUT)
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedConnection):
                    connection.abort_if_stalled(loop.time(), self._unread_timeout)


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
