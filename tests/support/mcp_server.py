"""Tool servers: one of the official package, and one that misbehaves as the test says."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, TypeAlias

import uvicorn
from aiohttp import web
from attrs import define, field
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from adapters.system.clock import SystemClock
from adapters.tool_servers.mcp_servers import McpToolServers
from adapters.tool_servers.opening import open_tool_servers
from domain.model.tool_settings import McpServer, ToolSettings
from ports.clock import Clock
from ports.tool_servers import ServerTool
from tests.support.fakes import RecordingTelemetry
from tests.support.model_server import ModelResponse

SEARCH: Final[dict[str, Any]] = {
    "name": "search",
    "description": "Finds books.",
    "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}},
    "annotations": {"readOnlyHint": True},
}
SEND: Final[dict[str, Any]] = {"name": "send", "inputSchema": {"type": "object"}}
JSON: Final = {"content-type": "application/json"}
EVENTS: Final = {"content-type": "text/event-stream"}
CALL_TIMEOUT: Final = timedelta(seconds=20)
_GUARD_SECONDS: Final = 20

Respond: TypeAlias = Callable[[dict[str, Any]], ModelResponse]
"""Returns the response to a JSON-RPC message."""


def a_result(message: Mapping[str, Any], result: Mapping[str, Any]) -> ModelResponse:
    """The JSON response with this result."""
    body = {"jsonrpc": "2.0", "id": message.get("id"), "result": result}
    return ModelResponse(headers=JSON, chunks=(json.dumps(body).encode(),))


def an_error(message: Mapping[str, Any], code: int, text: str) -> ModelResponse:
    """The JSON response with this error."""
    body = {"jsonrpc": "2.0", "id": message.get("id"), "error": {"code": code, "message": text}}
    return ModelResponse(headers=JSON, chunks=(json.dumps(body).encode(),))


def a_text(message: Mapping[str, Any], text: str) -> ModelResponse:
    """The JSON response of a tool that answers with a text."""
    return a_result(message, {"content": [{"type": "text", "text": text}]})


@define
class OddToolServer:
    """Speaks the protocol with a handshake, by hand; ``answers`` replaces answers by method.

    Attributes:
        messages: all JSON-RPC messages so far.
        deleted: the ids of the sessions that clients have ended.
        closed: set once a client has closed the connection of an unfinished answer.
    """

    tools: list[dict[str, Any]] = field(factory=lambda: [SEARCH, SEND])
    answers: dict[str, Respond] = field(factory=dict)
    url: str = ""
    messages: list[dict[str, Any]] = field(factory=list)
    headers: list[Mapping[str, str]] = field(factory=list)
    deleted: list[str] = field(factory=list)
    closed: asyncio.Event = field(factory=asyncio.Event)
    _sessions: int = 0
    _arrived: asyncio.Event = field(factory=asyncio.Event)

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The messages with this method."""
        return [message for message in self.messages if message.get("method") == method]

    async def until(self, is_true: Callable[[], object]) -> None:
        """Return once ``is_true()``; it is looked at after each request."""
        async with asyncio.timeout(_GUARD_SECONDS):
            while not is_true():
                self._arrived.clear()
                await self._arrived.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(request.headers)
        if request.method != "POST":
            if request.method == "DELETE":
                self.deleted.append(request.headers["mcp-session-id"])
            self._arrived.set()
            known = self.answers.get(request.method)
            return await self._send(request, known({}) if known else ModelResponse(status=405))
        message = json.loads(await request.read())
        self.messages.append(message)
        self._arrived.set()
        respond = self.answers.get(message.get("method", ""), self._usual)
        return await self._send(request, respond(message))

    def _usual(self, message: dict[str, Any]) -> ModelResponse:
        if "id" not in message or "method" not in message:
            return ModelResponse(status=202)
        match message["method"]:
            case "initialize":
                return self._welcome(message)
            case "tools/list":
                return a_result(message, {"tools": self.tools})
            case "tools/call" if message["params"]["name"] not in self._names:
                return an_error(message, -32602, f"Unknown tool: {message['params']['name']}")
            case "tools/call":
                return a_text(message, f"found {json.dumps(message['params']['arguments'])}")
        return an_error(message, -32601, "Method not found")

    @property
    def _names(self) -> list[str]:
        return [tool["name"] for tool in self.tools]

    def _welcome(self, message: dict[str, Any]) -> ModelResponse:
        self._sessions += 1
        result = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "odd", "version": "1"},
        }
        welcome = a_result(message, result)
        headers = {**JSON, "mcp-session-id": f"session-{self._sessions}"}
        return ModelResponse(headers=headers, chunks=welcome.chunks)

    async def _send(self, request: web.Request, planned: ModelResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=planned.status, headers=planned.headers)
        try:
            await response.prepare(request)
            for chunk in planned.chunks:
                await response.write(chunk or b"")
            if planned.hangs:
                await asyncio.Future[None]()
        except (asyncio.CancelledError, ConnectionError):
            self.closed.set()
            raise
        if planned.aborts and request.transport is not None:
            request.transport.abort()
        return response


@asynccontextmanager
async def odd_tool_server(
    answers: Mapping[str, Respond] | None = None, *, port: int = 0
) -> AsyncIterator[OddToolServer]:
    server = OddToolServer(answers=dict(answers or {}))
    app = web.Application()
    app.router.add_route("*", "/mcp", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        yield server
    finally:
        await runner.cleanup()


@define
class OfficialServer:
    """A server of the official package with the tools ``search``, ``broken`` and ``wait``.

    Attributes:
        waiting: set while ``wait`` runs.
        stopped: set once a running ``wait`` has been cancelled.
    """

    url: str = ""
    waiting: asyncio.Event = field(factory=asyncio.Event)
    stopped: asyncio.Event = field(factory=asyncio.Event)

    def program(self) -> MCPServer:
        program = MCPServer("library", log_level="CRITICAL")

        @program.tool(annotations=ToolAnnotations(read_only_hint=True))
        def search(query: str) -> str:
            return f"found {query}"

        @program.tool()
        def broken(query: str) -> str:
            raise ValueError(f"nothing about {query}")

        @program.tool()
        async def wait(query: str) -> str:
            self.waiting.set()
            try:
                await asyncio.Future[None]()
            finally:
                self.stopped.set()
            return query

        return program


@asynccontextmanager
async def official_server(*, json_response: bool = False) -> AsyncIterator[OfficialServer]:
    server = OfficialServer()
    app = server.program().streamable_http_app(json_response=json_response)
    async with serving(app) as url:
        server.url = url
        yield server


class _Announced(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The URL of a tool server while its ASGI application is served."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=1
    )
    server = _Announced(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(_GUARD_SECONDS):
            await server.listens.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        await task


def a_server(url: str, name: str = "library", **members: Any) -> McpServer:
    return McpServer(name=name, url=url, **members)


@define
class OpenServers:
    """The adapter, and what it has emitted."""

    adapter: McpToolServers
    telemetry: RecordingTelemetry

    async def tool(self, name: str) -> ServerTool:
        """The offered tool with this name."""
        [tool] = [tool for tool in await self.adapter.tools() if tool.tool.name == name]
        return tool


@asynccontextmanager
async def opened(*servers: McpServer, clock: Clock | None = None) -> AsyncIterator[OpenServers]:
    """The adapter for these servers, whose calls may take ``CALL_TIMEOUT``."""
    telemetry = RecordingTelemetry()
    settings = ToolSettings(servers=servers, timeout=CALL_TIMEOUT)
    async with open_tool_servers(
        settings, clock=clock or SystemClock(), telemetry=telemetry
    ) as tool_servers:
        assert isinstance(tool_servers, McpToolServers)
        yield OpenServers(tool_servers, telemetry)
