"""One session with a tool server, which lasts for one call or one listing.

A session belongs to one task, so a failure ends one call only, and a server that keeps data in its
sessions cannot mix the data of several people.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Final, TypeVar

import httpx2
from attrs import field, frozen
from mcp.client import Client, ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import DiscoverResult, Implementation
from mcp_types import jsonrpc as codes

from adapters.outgoing_http.http_proxy import proxy_for
from adapters.tool_servers.http_exchange import (
    MAX_RECEIVED_BYTES,
    SECONDS_TO_LEAVE,
    HttpExchange,
)
from domain.model.tool_settings import McpServer

_Answer = TypeVar("_Answer")

_CONNECT_SECONDS: Final = 5.0


class SessionFailed(Exception):
    """There is no answer, or the server rejected the request.

    Attributes:
        reason: a word for the operator's log.
        status: HTTP status of the response; None if there was none.
        is_transient: whether the same request may succeed a moment later.
        rejection: the error message of a server that rejected the request; None if there is none.
            It may repeat arguments, so only the model gets it.
        code: the JSON-RPC code of the error that the server answered with; None if there is none.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        is_transient: bool = False,
        rejection: str | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.is_transient = is_transient
        self.rejection = rejection
        self.code = code


@frozen(kw_only=True)
class Agreement:
    """What an earlier session agreed on with the server. Later sessions need not ask again.

    Attributes:
        mode: a version of the protocol, or ``legacy`` for those that begin with a handshake.
    """

    mode: str
    discovered: DiscoverResult | None = None


UNKNOWN: Final = Agreement(mode="auto")


@frozen(kw_only=True)
class Sessions:
    """Opens sessions with one server."""

    server: McpServer
    _connections: httpx2.AsyncBaseTransport
    _tasks: set["asyncio.Task[None]"] = field(factory=set)

    async def run(
        self, work: Callable[[ClientSession], Awaitable[_Answer]], agreement: Agreement
    ) -> tuple[_Answer, Agreement]:
        """The answer of ``work`` in a new session, and what the session agreed on.

        The session ends in the background: the answer does not wait for it.

        Raises:
            SessionFailed: there is no answer.
        """
        answered: asyncio.Future[tuple[_Answer, Agreement]] = asyncio.Future()
        exchange = HttpExchange(self._connections)
        task = asyncio.create_task(self._session(work, agreement, exchange, answered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await answered
        except asyncio.CancelledError:
            exchange.is_abandoned = True
            task.cancel()
            raise

    async def until_ended(self) -> None:
        """Return once the servers know that the sessions have ended, or after a few seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SECONDS_TO_LEAVE)

    async def close(self) -> None:
        """End all sessions."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _session(
        self,
        work: Callable[[ClientSession], Awaitable[_Answer]],
        agreement: Agreement,
        exchange: HttpExchange,
        answered: "asyncio.Future[tuple[_Answer, Agreement]]",
    ) -> None:
        try:
            async with self._client(agreement, exchange) as client:
                answer = await work(client.session)
                if not answered.done():
                    answered.set_result((answer, _agreement(client)))
                exchange.is_abandoned = True
        except Exception as error:  # noqa: BLE001 - the library raises the exceptions of many others
            if not answered.done():
                answered.set_exception(_session_failed(error, exchange))
        finally:
            if not answered.done():
                answered.set_exception(SessionFailed("interrupted"))
                # If the caller was cancelled, nobody asks for the exception.
                answered.exception()

    def _client(self, agreement: Agreement, exchange: HttpExchange) -> Client:
        http = httpx2.AsyncClient(
            transport=exchange,
            headers={
                "user-agent": f"privity/{_own_version()}",
                **self.server.headers,
                "accept-encoding": "identity",
            },
            # The caller limits how long the whole call may take.
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
        )
        transport = streamable_http_client(
            self.server.url, http_client=http, max_sse_event_size=MAX_RECEIVED_BYTES
        )
        return Client(
            transport,
            mode=agreement.mode,
            prior_discover=agreement.discovered,
            client_info=Implementation(name="privity", version=_own_version()),
            cache=None,
        )


@cache
def _own_version() -> str:
    return version("privity")


@asynccontextmanager
async def open_sessions(server: McpServer) -> AsyncIterator[Sessions]:
    """Opens sessions with ``server`` until it is closed. Nothing is sent yet.

    Raises:
        ServerProblem: the proxy for it cannot be used.
    """
    connections = httpx2.AsyncHTTPTransport(
        verify=ssl.create_default_context(),
        # A turn holds one connection for each call. The number of turns is limited.
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
        proxy=_proxy(server.url),
    )
    async with connections:
        sessions = Sessions(server=server, connections=connections)
        try:
            yield sessions
        finally:
            await sessions.close()


def _agreement(client: Client) -> Agreement:
    discovered = client.session.discover_result
    if discovered is None:
        return Agreement(mode="legacy")
    return Agreement(mode=client.protocol_version, discovered=discovered)


def _session_failed(error: Exception, exchange: HttpExchange) -> SessionFailed:
    while isinstance(error, ExceptionGroup):
        # The library runs several tasks for a session.
        error = error.exceptions[0]
    failure = exchange.failure
    if failure is not None:
        is_transient = failure.is_transient
        return SessionFailed(failure.reason, status=failure.status, is_transient=is_transient)
    if isinstance(error, MCPError):
        return _error_answer(error, exchange.status)
    return SessionFailed("invalid-answer", status=exchange.status)


def _error_answer(error: MCPError, status: int | None) -> SessionFailed:
    """The failure for an error that the server answered with, or that the library raised."""
    is_success = status is None or httpx2.codes.is_success(status)
    if error.code == codes.PARSE_ERROR or status == httpx2.codes.ACCEPTED:
        return SessionFailed("invalid-answer", status=status)
    if error.code == codes.CONNECTION_CLOSED:
        return SessionFailed("lost", is_transient=True)
    if is_success or error.code in (codes.INVALID_PARAMS, codes.METHOD_NOT_FOUND):
        return SessionFailed("rejected", status=status, rejection=error.message, code=error.code)
    # The server no longer has the session, for example after a restart.
    is_forgotten = status == httpx2.codes.NOT_FOUND
    return SessionFailed("status", status=status, is_transient=is_forgotten, code=error.code)


def _proxy(url: str) -> httpx2.Proxy | None:
    """The proxy that the environment names for ``url``.

    Raises:
        ServerProblem: its URL is not one of an HTTP proxy.
    """
    proxy = proxy_for(url)
    return None if proxy is None else httpx2.Proxy(proxy.url, headers=dict(proxy.headers))
