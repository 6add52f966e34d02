"""One HTTP connection, with limits on everything that its client can make it hold.

uvicorn itself limits neither heads, trailers nor pipelined requests, and an answer that the client
does not read stays in memory for as long as the client likes.
"""

import asyncio
import socket
import struct
import sys
from asyncio import TimerHandle, Transport
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, Final

from attrs import evolve
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from entrypoints.http.addresses import network_of
from entrypoints.http.fair_shares import FairShares
from entrypoints.http.middleware import MAX_URL_BYTES
from entrypoints.http.problems import Problem, problem_of_code
from entrypoints.http.services import Services

HEAD_MAX_BYTES: Final = 32_768
HEAD_MAX_HEADERS: Final = 128
HEAD_SECONDS: Final = 10
FRAMING_MAX_BYTES: Final = 8_192
"""For what is sent around the bytes of a chunked body: sizes, extensions and trailers."""
MAX_PIPELINED: Final = 16
PIPELINED_MAX_BYTES: Final = 16_384
ADDRESS_MAX_CONNECTIONS: Final = 2_048
LINGER_SECONDS: Final = 5
LINGER_MAX_BYTES: Final = 16_777_216
"""How long, and how much, is taken of a body that was refused before all of it had arrived."""
MAX_REFUSALS: Final = 64
"""How many connections beyond a limit get an answer; more are closed at once."""

# The limits are checked after each slice, so they hold to within this many bytes.
_SLICE_BYTES: Final = 8_192
_SEARCHED_CONNECTIONS: Final = 256
_UNSENT_HIGH_BYTES: Final = 16_384
_UNSENT_LOW_BYTES: Final = 4_096
_NO_LINGERING: Final = struct.pack("ii", 1, 0)

_TOO_MANY_OF_ADDRESS: Final = evolve(
    problem_of_code("too_many_requests"),
    detail="Too many connections from your address; please try again.",
    retry_after=timedelta(seconds=2),
)


class BoundedConnection(HttpToolsProtocol):
    """One connection; what exceeds a limit is refused, or ends the connection.

    In a burst, uvicorn's own ``limit_concurrency`` also refuses connections within the limit; this
    class refuses only those beyond it.
    """

    transport: "_BoundedTransport"

    def __init__(
        self,
        *args: Any,
        networks: Counter[str] | None = None,
        shares: FairShares | None = None,
        **kwargs: Any,
    ) -> None:
        """Start with nothing received.

        Args:
            networks: counts the connections of each address; None behind proxies.
            shares: the shares of each address; None behind proxies.
            args: for uvicorn.
            kwargs: for uvicorn.
        """
        super().__init__(*args, **kwargs)
        self._networks = networks
        self._shares = shares
        self._network = ""
        # None, so that uvicorn's own check does not run.
        self._max_connections = self.limit_concurrency or sys.maxsize
        self.limit_concurrency = None
        # One address gets at most half of all connections, so that others still find room.
        self._address_max_connections = min(ADDRESS_MAX_CONNECTIONS, self._max_connections // 2)
        self._running: RequestResponseCycle | None = None
        self._in_head = False
        self._in_body = False
        # Bytes received since a head ended, a piece of a body arrived or a request ended.
        self._incomplete_bytes = 0
        self._pipelined_bytes = 0
        self._has_advanced = False
        self._deadline: TimerHandle | None = None
        self._sent_bytes = 0
        self._sent_at = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(_UNSENT_HIGH_BYTES, _UNSENT_LOW_BYTES)
        super().connection_made(_BoundedTransport(transport, is_body_unread=lambda: self._in_body))
        self._sent_at = self.loop.time()
        excess = len(self.connections) - self._max_connections
        network_excess = self._count() - self._address_max_connections
        is_answered = max(excess, network_excess) <= MAX_REFUSALS
        if network_excess > 0:
            self._turn_away(_TOO_MANY_OF_ADDRESS, is_answered=is_answered)
        elif excess > 0 and not (is_answered and self._make_room()):
            self._turn_away(problem_of_code("too_many_connections"), is_answered=is_answered)
        self._start_deadline()

    def _turn_away(self, problem: Problem, *, is_answered: bool) -> None:
        """Answer the request with ``problem``, or close the connection at once; and log it."""
        if is_answered:
            self.app = _refusal(problem)
        else:
            self.transport.abort()
        services: Services | None = self.app_state.get("services")
        if services is not None:
            services.telemetry.emit("connection.refused", code=problem.code)

    def _count(self) -> int:
        """The number of connections of this client's address, this one included."""
        if self._networks is None or self.client is None:
            return 0
        self._network = network_of(self.client[0])
        self._networks[self._network] += 1
        return self._networks[self._network]

    def _make_room(self) -> bool:
        """Close an idle connection of the address with most connections; False if there is none."""
        if not self._networks:
            return False
        largest, count = self._networks.most_common(1)[0]
        if count <= 2 * self._networks[self._network]:
            return False
        searched = islice(self.connections, _SEARCHED_CONNECTIONS)
        ours = (other for other in searched if isinstance(other, BoundedConnection))
        return any(other.close_if_idle(largest) for other in ours)

    def close_if_idle(self, network: str) -> bool:
        """Close the connection if it is of this address and idle; returns whether it was closed."""
        if self._network != network or self._in_head or not self._is_idle():
            return False
        if self.transport.is_closing():
            return False
        self.transport.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._networks is not None and self._network:
            self._networks[self._network] -= 1
            if not self._networks[self._network]:
                del self._networks[self._network]
        self._stop_deadline()
        self.transport.stop_lingering()
        if self._running is not None and not self._running.response_complete:
            # uvicorn notifies only the newest request, which may still be waiting in the pipeline.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def abort_if_stalled(self, now: float, timeout: float) -> None:
        """Abort if the client has taken no byte of an answer for ``timeout`` seconds.

        Called at intervals, whether or not the answer is complete.
        """
        unsent = self.transport.get_write_buffer_size()
        sent = self.transport.written - unsent
        if unsent == 0 or sent != self._sent_bytes:
            self._sent_bytes, self._sent_at = sent, now
        elif now - self._sent_at >= timeout:
            # Linux would keep the unread bytes even longer than the connection.
            peer = self.transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            self.transport.discard(data)
        elif self._shares is None or self._shares.take(self._network):
            self._receive_all(data)
        elif self._shares.wait(self._network, partial(self._receive_held, data), len(data)):
            self.transport.hold_reading()
        else:
            # Otherwise, large pieces of many connections would fill the memory.
            self._receive_all(data)

    def _receive_held(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._receive_all(data)
        self.transport.release_reading()

    def _receive_all(self, data: bytes) -> None:
        for start in range(0, len(data), _SLICE_BYTES):
            self._receive(data[start : start + _SLICE_BYTES])
            if self.transport.is_closing():
                return

    def _receive(self, data: bytes) -> None:
        self._has_advanced = False
        super().data_received(data)
        if self._has_advanced:
            self._incomplete_bytes = 0
        else:
            self._incomplete_bytes += len(data)
            limit = FRAMING_MAX_BYTES if self._in_body else HEAD_MAX_BYTES
            if self._incomplete_bytes > limit:
                self._refuse(problem_of_code("head_too_large"))
        self._pipelined_bytes = self._pipelined_bytes + len(data) if self.pipeline else 0
        if self._pipelined_bytes > PIPELINED_MAX_BYTES:
            self.transport.abort()
        # uvicorn cancels its keep-alive timeout when bytes arrive between two requests.
        if self._in_head or (self.timeout_keep_alive_task is None and self._is_idle()):
            self._start_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        # One byte more than allowed, so that the app answers that it is too long. Without this cut,
        # uvicorn would decode the whole URL before the app sees it.
        self.url = (self.url + url)[: MAX_URL_BYTES + 1]

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head, this is a trailer. Trailers are not merged (RFC 9110, section 6.5.1): one
        # could name the client's address or credentials.
        if self._in_head and len(self.headers) <= HEAD_MAX_HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self._has_advanced = True
        self._stop_deadline()
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            return
        app = self.app
        if len(self.headers) > HEAD_MAX_HEADERS:
            self.app = _refusal(problem_of_code("head_too_large"))
        super().on_headers_complete()
        self.app = app
        if self.pipeline:
            # uvicorn stops reading, and would not see that the client disconnects.
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._has_advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_advanced = True
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        self._refuse(problem_of_code("bad_request"))

    def _refuse(self, problem: Problem) -> None:
        """Close with the problem as the answer, or without it if another answer has begun."""
        if self.pipeline or not (self._is_idle() or not self.cycle.response_started):
            self.transport.abort()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True
        response = _refusal(problem)
        headers = (*self.server_state.default_headers, *response.raw_headers)
        head = [STATUS_LINE[response.status_code], *(b"%b: %b\r\n" % pair for pair in headers)]
        self.transport.write(b"".join([*head, b"\r\n", response.body]))
        # Nothing more is taken of what may never end.
        self._in_body = False
        self.transport.close()

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


class _BoundedTransport(Transport):
    """A transport that counts the bytes written to it, and whose reading can be held.

    Nothing is read while uvicorn has paused reading, or while it is held. If part of a body is
    unread when the transport is closed, the rest is taken and discarded for a while. Otherwise the
    kernel would reset the connection, and many clients and proxies would lose the answer.
    """

    def __init__(self, transport: Transport, *, is_body_unread: Callable[[], bool]) -> None:
        super().__init__()
        self.written = 0
        self._transport = transport
        self._is_body_unread = is_body_unread
        self._lingering: TimerHandle | None = None
        self._discarded = 0
        self._is_paused = False
        self._is_held = False

    def write(self, data: Any) -> None:
        self.written += len(data)
        self._transport.write(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._lingering is not None or self._transport.is_closing()

    def pause_reading(self) -> None:
        self._change_reading(is_paused=True, is_held=self._is_held)

    def resume_reading(self) -> None:
        self._change_reading(is_paused=False, is_held=self._is_held)

    def hold_reading(self) -> None:
        self._change_reading(is_paused=self._is_paused, is_held=True)

    def release_reading(self) -> None:
        self._change_reading(is_paused=self._is_paused, is_held=False)

    def _change_reading(self, *, is_paused: bool, is_held: bool) -> None:
        could_read = not (self._is_paused or self._is_held)
        self._is_paused, self._is_held = is_paused, is_held
        can_read = not (is_paused or is_held)
        if can_read and not could_read:
            self._transport.resume_reading()
        elif could_read and not can_read:
            self._transport.pause_reading()

    def close(self) -> None:
        """Close, after the rest of an unread body; a second call closes at once."""
        if self._lingering is not None:
            self.abort()
        elif self._transport.is_closing() or not self._is_body_unread():
            self._transport.close()
        else:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER_SECONDS, self._transport.abort)
            self._transport.write_eof()
            self._change_reading(is_paused=False, is_held=False)

    def discard(self, data: bytes) -> None:
        """Count ``data``, which arrived after ``close``; too much ends the connection."""
        self._discarded += len(data)
        if self._discarded > LINGER_MAX_BYTES:
            self.abort()

    def stop_lingering(self) -> None:
        """The connection has ended."""
        if self._lingering is not None:
            self._lingering.cancel()

    def abort(self) -> None:
        self._transport.abort()


def _refusal(problem: Problem) -> Response:
    response = problem.response()
    response.headers["connection"] = "close"
    return response
