"""Accepts connections, fairly to all addresses that connect.

A server of asyncio accepts and sets up all connections that wait in the kernel's queue at once, so
a burst of one address would delay everybody else until all of it is set up.
"""

import asyncio
import errno
import socket
from asyncio import BaseProtocol
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from entrypoints.http.addresses import network_of
from entrypoints.http.fair_shares import FairShares

BACKLOG: Final = 4096
ACCEPTED_AT_ONCE: Final = 256
"""How many connections are accepted in one pass of the event loop."""

_PAUSE_SECONDS: Final = 1
# Linux queues up to several megabytes per connection for a client that does not read.
_UNSENT_KERNEL_BYTES: Final = 131_072


class Listener:
    """Listens on one address and port, and sets up a protocol for each connection."""

    def __init__(self, host: str, port: int, *, shares: FairShares | None) -> None:
        """Listen; connections are accepted after ``start``.

        Args:
            host: a name or an IP address; only the first address of a name is used.
            port: 0 for any free port.
            shares: the shares of each address; None sets up all connections at once.

        Raises:
            OSError: the address cannot be used.
        """
        self._socket = _listen(host, port)
        self._shares = shares
        self._create: Callable[[], BaseProtocol] = BaseProtocol
        self._on_pause: Callable[[str], None] = lambda _: None
        self._accepted: set[socket.socket] = set()
        self._setups: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(
        self, create: Callable[[], BaseProtocol], on_pause: Callable[[str], None] = lambda _: None
    ) -> None:
        """Accept connections.

        Args:
            create: returns a new protocol for each.
            on_pause: called with the name of the error when nothing is accepted for a second,
                because the process is out of file descriptors or memory.
        """
        self._create = create
        self._on_pause = on_pause
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Stop listening, and close the connections that are not set up yet."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for waiting in self._accepted:
            waiting.close()
        self._accepted.clear()

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, (host, *_) = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                self._on_pause(errno.errorcode.get(error.errno or 0, "unknown"))
                self._pause()
                return
            connection.setblocking(False)
            self._accepted.add(connection)
            self._share_out(connection, host)

    def _pause(self) -> None:
        """Accept nothing for a moment: the process is out of file descriptors or memory."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.call_later(_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _share_out(self, connection: socket.socket, host: str) -> None:
        shares = self._shares
        if shares is None:
            return self._set_up(connection)
        network = network_of(host)
        if shares.take(network):
            return self._set_up(connection)
        if not shares.wait(network, partial(self._set_up, connection)):
            self._accepted.remove(connection)
            connection.close()
        return None

    def _set_up(self, connection: socket.socket) -> None:
        if connection not in self._accepted:
            return  # It was closed with the listener.
        self._accepted.remove(connection)
        setup = asyncio.get_running_loop().create_task(self._connect(connection))
        self._setups.add(setup)
        setup.add_done_callback(self._setups.discard)

    async def _connect(self, connection: socket.socket) -> None:
        with suppress(OSError):  # The client has gone already.
            await asyncio.get_running_loop().connect_accepted_socket(self._create, connection)


def _listen(host: str, port: int) -> socket.socket:
    # reuse_port stays off: it would allow two services to share the port.
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    dual = host == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(
        address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual
    )
    listener.setblocking(False)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Connections inherit the option from the listener.
        level, option = socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT
        listener.setsockopt(level, option, _UNSENT_KERNEL_BYTES)
    return listener
