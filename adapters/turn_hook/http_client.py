"""Posts to the hook over connections that are kept for the next turn."""

import asyncio
import select
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import SplitResult, urlsplit

from adapters.outgoing_http.certificates import trusting
from adapters.outgoing_http.http_proxy import HttpProxy, proxy_for
from adapters.outgoing_http.socket_failures import socket_failure
from adapters.turn_hook.hook_connection import ExchangeFailed, HookConnection, HttpResponse
from adapters.turn_hook.hook_server import HookServer

_MAX_IDLE: Final = 64
_IDLE_SECONDS: Final = 60.0
_PORTS: Final = {"http": 80, "https": 443}
_OK: Final = 200


class ConnectFailed(Exception):
    """There is no connection to the hook, so it did not get the request.

    Attributes:
        reason: a word for the log.
        status: the status with which a proxy refused; None if none did.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class HookClient:
    """Posts JSON to one URL. It follows no redirect and decodes no compressed response."""

    def __init__(
        self, server: HookServer, tls: ssl.SSLContext | None, proxy: HttpProxy | None
    ) -> None:
        self._server = server
        self._tls = tls
        self._proxy = proxy
        self._url = urlsplit(server.url)
        self._idle: list[tuple[float, HookConnection]] = []
        self._head = self._request_head()

    async def post(self, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        """The response to ``body``. Cancelling it closes the connection.

        A request over a kept connection that the hook closed in the same moment is sent again,
        once, over a new one.

        Raises:
            ConnectFailed: the hook did not get the request.
            ExchangeFailed: there is no usable response.
        """
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = b"%b%bcontent-length: %d\r\n\r\n%b" % (
            self._head,
            lines.encode(),
            len(body),
            body,
        )
        connection = self._take_idle()
        if connection is not None:
            try:
                return await self._post_over(connection, request)
            except ExchangeFailed as failure:
                # A request that brings the hook down must not get each connection in turn.
                if not failure.is_early:
                    raise
        return await self._post_over(await self._connect(), request)

    def close(self) -> None:
        """Close the connections that carry no request."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _post_over(self, connection: HookConnection, request: bytes) -> HttpResponse:
        response = await connection.exchange(request)
        if connection.is_reusable:
            self._keep(connection)
        return response

    def _keep(self, connection: HookConnection) -> None:
        now = asyncio.get_running_loop().time()
        self._idle.append((now, connection))
        # The newest is taken first, so the oldest are those that are needed no more.
        while len(self._idle) > _MAX_IDLE or self._idle[0][0] < now - _IDLE_SECONDS:
            self._idle.pop(0)[1].close()

    def _take_idle(self) -> HookConnection | None:
        while self._idle:
            _, connection = self._idle.pop()
            if connection.is_reusable and not _has_input(connection):
                return connection
            connection.close()
        return None

    async def _connect(self) -> HookConnection:
        try:
            async with asyncio.timeout(self._server.connect_timeout.total_seconds()):
                if self._proxy is None:
                    return await _connected(self._url, self._tls)
                return await self._connect_through(self._proxy)
        except TimeoutError:
            raise ConnectFailed("timeout") from None
        except OSError as error:
            raise ConnectFailed(socket_failure(error)) from None

    async def _connect_through(self, proxy: HttpProxy) -> HookConnection:
        url = urlsplit(proxy.url)
        tls = ssl.create_default_context() if url.scheme == "https" else None
        try:
            connection = await _connected(url, tls)
        except OSError:
            raise ConnectFailed("proxy-unreachable") from None
        if self._tls is None:
            return connection
        target = f"{_host(self._url)}:{_port(self._url)}"
        lines = [f"CONNECT {target} HTTP/1.1", f"host: {target}", *_lines(proxy.headers), "", ""]
        try:
            response = await connection.exchange("\r\n".join(lines).encode(), opens_tunnel=True)
        except ExchangeFailed:
            raise ConnectFailed("proxy-refused") from None
        if response.status != _OK:
            connection.close()
            raise ConnectFailed("proxy-refused", response.status)
        try:
            secured = await asyncio.get_running_loop().start_tls(
                connection.transport, connection, self._tls, server_hostname=self._url.hostname
            )
        except BaseException:
            connection.close()
            raise
        if secured is None:
            raise ConnectFailed("closed")
        connection.connection_made(secured)
        return connection

    def _request_head(self) -> bytes:
        """The first line and the headers that all requests have."""
        url, is_forwarded = self._url, self._proxy is not None and self._tls is None
        target = f"{url.scheme}://{_address(url)}" if is_forwarded else ""
        lines = [
            f"POST {target}{url.path or '/'} HTTP/1.1",
            f"host: {_address(url)}",
            "content-type: application/json",
            "accept: application/json",
            "accept-encoding: identity",
            "user-agent: privity",
        ]
        if self._proxy is not None and is_forwarded:
            # Without TLS there is no tunnel: the proxy reads the request itself.
            lines += _lines(self._proxy.headers)
        return ("\r\n".join(lines) + "\r\n").encode()


@asynccontextmanager
async def open_client(server: HookServer) -> AsyncIterator[HookClient]:
    """A client for ``server``. Nothing is sent yet.

    Raises:
        ServerProblem: the certificates or the proxy cannot be used.
    """
    is_secure = urlsplit(server.url).scheme == "https"
    tls = trusting(server.ca_file, setting="PRIVITY_HOOK_CA_FILE") if is_secure else None
    client = HookClient(server, tls, proxy_for(server.url))
    try:
        yield client
    finally:
        client.close()


async def _connected(url: SplitResult, tls: ssl.SSLContext | None) -> HookConnection:
    _, connection = await asyncio.get_running_loop().create_connection(
        HookConnection, url.hostname or "", _port(url), ssl=tls
    )
    return connection


def _has_input(connection: HookConnection) -> bool:
    """Whether the hook closed the connection, or sent something that nobody asked for."""
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _host(url: SplitResult) -> str:
    host = (url.hostname or "").encode("idna").decode()
    return f"[{host}]" if ":" in host else host


def _port(url: SplitResult) -> int:
    return url.port or _PORTS[url.scheme]


def _address(url: SplitResult) -> str:
    return f"{_host(url)}:{url.port}" if url.port else _host(url)


def _lines(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]
