"""A server that sends the responses of a test to ``privity chat``, and the terminal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import frozen

from entrypoints.cli.chat_client import ChatClient
from entrypoints.cli.terminal_chat import TerminalChat
from entrypoints.http.sse import DONE, event

SESSION = event({"sessionId": "s1", "restarted": False}, name="session-id")
RESTARTED = event({"sessionId": "s2", "restarted": True}, name="session-id")
REPLY = event({"type": "text-delta", "delta": "Hi!"}) + DONE
ABORT = event({"type": "abort"})
STOPPED = event({"type": "text-delta", "delta": "Half"}) + ABORT + DONE
THINKING = event({"type": "reasoning-delta", "delta": "Hm."})
FAILED = event({"type": "error", "errorText": "The model is busy.", "code": "model_busy"})
CODES = {401: "client_key_invalid", 413: "conversation_full", 503: "shutting_down"}
HELP = "/new starts a new conversation"


@frozen
class Lost:
    """A response whose connection breaks after these bytes, or before the response."""

    sent: bytes = b""
    before_the_response: bool = False


class Backend:
    """Sends its responses in order and records the requests.

    Attributes:
        half_shown: set when the terminal has shown half of a reply.
        before, during: called before a stream starts, and in the middle of it.
    """

    def __init__(self, *responses: bytes | Lost | tuple[int, str] | dict[str, str]) -> None:
        self._responses = list(responses)
        self.idempotency_keys: list[str] = []
        self.requests: list[tuple[str, str, object]] = []
        self.authorization: set[str] = set()
        self.half_shown = asyncio.Event()
        self.stopped = asyncio.Event()
        self.stop_status = 200
        self.before: Callable[[], None] = lambda: None
        self.during: Callable[[], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.path, body))
        self.authorization.add(request.headers.get("authorization", ""))
        self.idempotency_keys.append(request.headers.get("idempotency-key", ""))
        if request.path.endswith("/stop"):
            self.stopped.set()
            return web.json_response({"detail": "Not now."}, status=self.stop_status)
        if request.path == "/api/sessions":
            document = {"sessionId": "s0", "welcome": f"Hei, {request.headers['accept-language']}!"}
            return web.json_response(document)
        content = self._responses.pop(0)
        if isinstance(content, tuple):
            status, detail = content
            problem = {"detail": detail, "code": CODES.get(status, "other")}
            return web.json_response(problem, status=status)
        if isinstance(content, dict):
            return web.json_response(content)
        return await self._stream(request, content)

    async def _stream(self, request: web.Request, content: bytes | Lost) -> web.StreamResponse:
        is_lost = isinstance(content, Lost)
        if isinstance(content, Lost):
            if content.before_the_response:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            content = content.sent
        self.before()
        await asyncio.sleep(0)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        start, stop, rest = content.partition(ABORT)
        await response.write(start)
        if self.during is not None:
            await self.during()
        await response.write(stop + rest)
        if is_lost:
            assert request.transport is not None
            request.transport.close()
        return response


@asynccontextmanager
async def served(backend: Backend) -> AsyncIterator[str]:
    """The URL of the server."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend.handle)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def terminal_of(
    backend: Backend, *, is_interactive: bool = False, client_key: str | None = "ck_key"
) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """A function that types lines and returns everything that the terminal has shown."""
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        if text == "Half":
            backend.half_shown.set()

    async with served(backend) as url, aiohttp.ClientSession() as http:
        client = ChatClient(http, url, client_key)
        chat = TerminalChat(client, show, is_interactive=is_interactive, retry_seconds=(0.0, 0.0))
        await chat.begin()

        async def type_lines(*lines: str) -> str:
            for line in lines:
                await chat.handle(line)
            return "".join(shown)

        yield type_lines
