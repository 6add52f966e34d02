"""An OpenAI-compatible server that sends the responses a test wrote, or those of a function."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiohttp import web
from attrs import define, field, frozen

DONE = b"data: [DONE]\n\n"
_MAX_BYTES = 16_000_000


@frozen(kw_only=True)
class ModelResponse:
    """One response: ``chunks`` one after the other, then its end.

    Attributes:
        chunks: at a ``None`` the server waits until the test sets ``ModelServer.resume``.
        hangs: whether the server falls silent instead of ending the response.
        aborts: whether it cuts the connection instead.
    """

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    chunks: Sequence[bytes | None] = ()
    hangs: bool = False
    aborts: bool = False


Respond: TypeAlias = Callable[[dict[str, Any]], ModelResponse]
"""Returns the response to a body."""


@define
class ModelServer:
    """Sends its responses in order, or those of ``respond``, and records the requests."""

    url: str = ""
    responses: list[ModelResponse] = field(factory=list)
    respond: Respond | None = None
    bodies: list[dict[str, Any]] = field(factory=list)
    headers: list[Mapping[str, str]] = field(factory=list)
    peers: set[object] = field(factory=set)
    requested: asyncio.Event = field(factory=asyncio.Event)
    resume: asyncio.Event = field(factory=asyncio.Event)
    disconnected: asyncio.Event = field(factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(json.loads(await request.read()))
        self.headers.append(request.headers)
        self.requested.set()
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        planned = self.respond(self.bodies[-1]) if self.respond else self.responses.pop(0)
        response = web.StreamResponse(status=planned.status, headers=planned.headers)
        await response.prepare(request)
        for chunk in planned.chunks:
            if chunk is None:
                await self.resume.wait()
            else:
                await response.write(chunk)
        if planned.aborts:
            request.transport.abort()
        if planned.hangs:
            await self._wait_for_disconnect()
        return response

    async def _wait_for_disconnect(self) -> None:
        try:
            await asyncio.Future[None]()
        finally:
            self.disconnected.set()


@asynccontextmanager
async def model_server(
    *responses: ModelResponse,
    respond: Respond | None = None,
    models: Mapping[str, Any] | None = None,
) -> AsyncIterator[ModelServer]:
    """The server; ``models`` is what it answers to ``GET /v1/models``."""
    server = ModelServer(responses=list(responses), respond=respond)
    app = web.Application(client_max_size=_MAX_BYTES)
    app.router.add_post("/v1/chat/completions", server.handle)

    async def list_models(_: web.Request) -> web.Response:
        return web.json_response(models)

    if models is not None:
        app.router.add_get("/v1/models", list_models)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        server.url = f"http://127.0.0.1:{port}/v1"
        yield server
    finally:
        await runner.cleanup()


def event(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def delta(**members: Any) -> bytes:
    """A chunk with the next part of the reply."""
    return event({"choices": [{"index": 0, "delta": members, "finish_reason": None}]})


def finished(reason: str = "stop") -> bytes:
    """The chunk with the finish reason."""
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def used(prompt: int, completion: int) -> bytes:
    """The chunk with the token counts."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"choices": [], "usage": usage})


def a_reply(*texts: str) -> ModelResponse:
    """A complete reply, one chunk for each text."""
    deltas = [delta(content=text) for text in texts]
    return ModelResponse(chunks=(delta(role="assistant"), *deltas, finished(), used(9, 2), DONE))


def an_error(
    status: int, *, headers: Mapping[str, str] | None = None, **error: Any
) -> ModelResponse:
    """A response with an error document."""
    body = json.dumps({"error": error}).encode()
    return ModelResponse(status=status, headers=headers or {}, chunks=(body,))
