"""Serves the ASGI app with uvicorn, inside the caller's own event loop.

Added to uvicorn here, because it lacks them: signals stay with the caller, the head of a
request is bounded in bytes and in time, past `max_connections` only newcomers are refused,
and a failed startup is one exception with its cause.
"""

import asyncio
import logging
import math
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_MAX_BYTES = 65_536
HEAD_TIME = timedelta(seconds=10)
KEEP_ALIVE = timedelta(seconds=75)  # Longer than a proxy's, or it sends into a closing connection.
BACKLOG = 4096
REFUSED = b'{"title":"Service Unavailable","status":503,"code":"too_many_connections"}'


class StartupFailed(Exception):
    """The app did not start; its own error is the cause."""


class ShutdownFailed(Exception):
    """The app was served, but closing what it had opened failed; its own error is the cause."""


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    max_connections: int,
    stopping: asyncio.Event,
    announce: Callable[[], None],
    grace: timedelta = timedelta(seconds=5),
) -> None:
    """Serve until `stopping` is set, then give open responses `grace` (whole seconds, rounded up).

    Whoever wants new requests answered while turns are drained sets `stopping` after the drain.
    Raises OSError when the address cannot be had, StartupFailed and ShutdownFailed.
    """
    lifespan = _Lifespan(app)
    server = _Server(lifespan, max_connections, grace, announce)
    with _expected_endings_unlogged(), _listening(host, port) as sockets:
        watcher = asyncio.create_task(server.leave_when(stopping))
        try:
            await server.serve(sockets)
        except asyncio.CancelledError:
            if server.started:
                await server.shutdown(sockets)
            raise
        finally:
            watcher.cancel()
            server.abort_connections()
    if lifespan.failure is not None:
        raise ShutdownFailed from lifespan.failure


@contextmanager
def signals_handled_by(handle: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `handle` in the running loop, each time they arrive."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)
    for number in handled:
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
