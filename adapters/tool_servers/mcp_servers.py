"""The tool servers of the assistant's file, over the Model Context Protocol."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from mcp.client import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import (
    HEADER_MISMATCH,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    PaginatedRequestParams,
    Tool,
)
from mcp_types import jsonrpc as codes

from adapters.tool_servers.mcp_session import (
    UNKNOWN,
    Agreement,
    SessionFailed,
    Sessions,
    open_sessions,
)
from adapters.tool_servers.tool_listing import (
    MAX_LISTED_TOOLS,
    Listing,
    listing,
    without_excess,
)
from adapters.tool_servers.tool_result import text_output, tool_output
from domain.model.tool_settings import ToolSettings
from ports.clock import Clock
from ports.telemetry import Telemetry
from ports.tool_servers import ServerTool, ToolOutput

_Answer = TypeVar("_Answer")

RENEWAL: Final = timedelta(minutes=5)
"""After this time, a server is asked for its tools again."""
FIRST_RETRY: Final = timedelta(seconds=5)
"""The shortest pause between two requests for the tools of a server.

If a server does not list its tools, the pause doubles each time, up to ``RENEWAL``.
"""

LISTING_TIMEOUT: Final = timedelta(seconds=15)
"""How long a server may take to list its tools."""

_PATIENCE: Final = timedelta(seconds=3)
_MAX_PAGES: Final = 50
_LIBRARIES: Final = ("mcp", "mcp_types", "httpx2", "httpcore2", "client")

_UNKNOWN_EFFECT: Final = "It is unknown whether the call had an effect."
_MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unreachable": "The tool was not run, because its server cannot be reached.",
        "lost": f"The connection to the tool was lost. {_UNKNOWN_EFFECT}",
        "timeout": f"The tool did not answer in time. {_UNKNOWN_EFFECT}",
        "too-large": f"The answer of the tool is too large. {_UNKNOWN_EFFECT}",
        "unknown": "There is no such tool.",
        "arguments": "The tool was not run, because its arguments are not a JSON object.",
    }
)
_UNUSABLE: Final = f"The tool did not give a usable answer. {_UNKNOWN_EFFECT}"


class _Server:
    """One tool server, its tools, and what is needed to list them again."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.name = sessions.server.name
        self.host = urlsplit(sessions.server.url).netloc.rpartition("@")[2]
        self.agreement: Agreement = UNKNOWN
        self.listing: Listing | None = None
        self.was_asked = asyncio.Event()
        self.is_outdated = asyncio.Event()


class McpToolServers:
    """Lists the tools of each server in the background, and calls them."""

    def __init__(
        self, servers: Sequence[_Server], *, timeout: timedelta, clock: Clock, telemetry: Telemetry
    ) -> None:
        """``timeout`` is for one call, including a repetition."""
        self._servers = {server.name: server for server in servers}
        self._timeout = timeout
        self._clock = clock
        self._telemetry = telemetry
        self._tools: tuple[ServerTool, ...] = ()
        self._first_lists: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the lists of tools up to date while it is open."""
        tasks = [asyncio.create_task(self._keep_listed(each)) for each in self._servers.values()]
        self._first_lists = asyncio.create_task(self._await_first_lists())
        try:
            yield
        finally:
            for task in (*tasks, self._first_lists):
                task.cancel()
            await asyncio.gather(*tasks, self._first_lists, return_exceptions=True)

    async def tools(self) -> Sequence[ServerTool]:
        """See ``ToolServers.tools``. Right after the start, it waits a moment for the lists."""
        if self._first_lists is not None and not self._first_lists.done():
            await asyncio.wait({self._first_lists})
        return self._tools

    async def call(self, tool: ServerTool, arguments: str) -> ToolOutput:
        """See ``ToolServers.call``."""
        server, values = self._servers.get(tool.server), _object(arguments)
        if server is None:
            return _failed("unknown")
        if values is None:
            return _failed("arguments")
        try:
            return await self._within(self._timeout, _call_with_retry(server, tool, values))
        except SessionFailed as failed:
            return _failed(failed.reason, failed.rejection)

    async def _await_first_lists(self) -> None:
        async def all_were_asked() -> None:
            for server in self._servers.values():
                await server.was_asked.wait()

        with suppress(SessionFailed):
            await self._within(_PATIENCE, all_were_asked())

    async def _within(self, limit: timedelta, work: Awaitable[_Answer]) -> _Answer:
        """The result of ``work``, which is cancelled if it takes too long.

        Raises:
            SessionFailed: it took too long, or it raised this.
        """
        task = asyncio.ensure_future(work)
        timer = asyncio.create_task(self._clock.sleep(limit))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise SessionFailed("timeout")
        finally:
            task.cancel()
            timer.cancel()

    async def _keep_listed(self, server: _Server) -> None:
        retry = FIRST_RETRY
        while True:
            is_listed = await self._list(server)
            server.was_asked.set()
            pause = RENEWAL if is_listed else retry
            retry = FIRST_RETRY if is_listed else min(retry * 2, RENEWAL)
            # A model that calls tools that do not exist must not cause a listing for each call.
            await self._clock.sleep(FIRST_RETRY)
            server.is_outdated.clear()
            await self._sleep_until_outdated(server, pause - FIRST_RETRY)

    async def _sleep_until_outdated(self, server: _Server, pause: timedelta) -> None:
        waits = {
            asyncio.create_task(self._clock.sleep(pause)),
            asyncio.create_task(server.is_outdated.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _list(self, server: _Server) -> bool:
        """Ask the server for its tools; returns whether it answered."""
        try:
            asking = server.sessions.run(all_tools, UNKNOWN)
            listed, agreement = await self._within(LISTING_TIMEOUT, asking)
        except SessionFailed as failed:
            self._emit_unavailable(server, failed)
            return False
        server.agreement = agreement
        found = listing(server.sessions.server, listed)
        if found != server.listing:
            server.listing = found
            self._offer(server, found)
        return True

    def _offer(self, changed: _Server, found: Listing) -> None:
        """Offer the tools of all servers; log those of the server whose list is new."""
        lists = [each.listing for each in self._servers.values() if each.listing is not None]
        self._tools = without_excess(tool for each in lists for tool in each.tools).tools
        offered = [tool for tool in self._tools if tool.server == changed.name]
        left_out = found.left_out + Counter[str](twice=len(found.tools) - len(offered))
        self._telemetry.emit(
            "tools.listed", server=changed.name, host=changed.host, tools=len(offered)
        )
        for reason, tools in left_out.items():
            self._telemetry.emit("tools.left-out", server=changed.name, reason=reason, tools=tools)

    def _emit_unavailable(self, server: _Server, failed: SessionFailed) -> None:
        self._telemetry.emit(
            "tools.unavailable",
            server=server.name,
            reason=failed.reason,
            host=server.host,
            status=failed.status,
        )


@asynccontextmanager
async def open_mcp_servers(
    settings: ToolSettings, *, clock: Clock, telemetry: Telemetry
) -> AsyncIterator[McpToolServers]:
    """The tool servers in ``settings``, which are asked for their tools in the background.

    Raises:
        ServerProblem: the proxy for one of them cannot be used.
    """
    silence_libraries()
    async with AsyncExitStack() as stack:
        servers = [
            _Server(await stack.enter_async_context(open_sessions(server)))
            for server in settings.servers
        ]
        tool_servers = McpToolServers(
            servers, timeout=settings.timeout, clock=clock, telemetry=telemetry
        )
        await stack.enter_async_context(tool_servers.running())
        yield tool_servers


def silence_libraries() -> None:
    """Log nothing of the libraries: they log answers that they cannot read, with their content."""
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers[:] = [logging.NullHandler()]


async def all_tools(session: ClientSession) -> list[Tool]:
    """The tools that the server lists, up to a limit."""
    tools: list[Tool] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None or len(tools) >= MAX_LISTED_TOOLS:
            break
    return tools[:MAX_LISTED_TOOLS]


async def _call_with_retry(server: _Server, tool: ServerTool, values: dict[str, Any]) -> ToolOutput:
    """Run the tool; once more if the tool may be repeated and that may help.

    Raises:
        SessionFailed: there is no result.
    """
    try:
        return await _call(server, tool, values)
    except SessionFailed as failed:
        if not (failed.is_transient and tool.may_repeat):
            raise
    return await _call(server, tool, values)


async def _call(server: _Server, tool: ServerTool, values: dict[str, Any]) -> ToolOutput:
    """Run the tool in a session of its own.

    Raises:
        SessionFailed: there is no result.
    """
    name = tool.tool.name
    params = CallToolRequestParams(name=name, arguments=values)

    async def call(session: ClientSession) -> CallToolResult:
        request = CallToolRequest(params=params)
        try:
            return await session.send_request(request, CallToolResult)
        except MCPError as error:
            if error.code != HEADER_MISMATCH:
                raise
        # The server did not run the tool: it wants some arguments in headers too, which the session
        # adds once it has seen the list.
        await session.list_tools()
        return await session.send_request(request, CallToolResult)

    try:
        result, _ = await server.sessions.run(call, server.agreement)
    except SessionFailed as failed:
        if failed.code in (codes.INVALID_PARAMS, codes.METHOD_NOT_FOUND):
            server.is_outdated.set()
        raise
    output = tool_output(result)
    if output.failed and output.output.startswith(f'"Unknown tool: {name}'):
        server.is_outdated.set()
    return output


def _object(arguments: str) -> dict[str, Any] | None:
    """The arguments; None if they are not the JSON text of an object."""
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _failed(reason: str, rejection: str | None = None) -> ToolOutput:
    if rejection is not None:
        return ToolOutput(output=text_output(rejection), failed=True, reason=reason)
    message = _MESSAGES.get(reason, _UNUSABLE)
    return ToolOutput(output=json.dumps(message), failed=True, reason=reason)
