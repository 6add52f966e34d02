"""An OpenAI-compatible server that plays what a test wrote."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from attrs import define, field, frozen

DONE = b"data: [DONE]\n\n"


@frozen(kw_only=True)
class Play:
    """One answer: ``parts`` one after the other, then its end.

    Attributes:
        parts: ``None`` among them waits until the test says go on.
        stays_open: whether the server falls silent instead of ending the answer.
        breaks_off: whether it cuts the connection instead.
    """

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    parts: Sequence[bytes | None] = ()
    stays_open: bool = False
    breaks_off: bool = False


@define
class ModelServer:
    """Plays its answers in order and notes what it was asked."""

    url: str = ""
    plays: list[Play] = field(factory=list)
    bodies: list[dict[str, Any]] = field(factory=list)
    headers: list[Mapping[str, str]] = field(factory=list)
    peers: set[object] = field(factory=set)
    asked: asyncio.Event = field(factory=asyncio.Event)
    go_on: asyncio.Event = field(factory=asyncio.Event)
    left: asyncio.Event = field(factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(json.loads(await request.read()))
        self.headers.append(request.headers)
        self.asked.set()
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        play = self.plays.pop(0)
        response = web.StreamResponse(status=play.status, headers=play.headers)
        await response.prepare(request)
        for part in play.parts:
            if part is None:
                await self.go_on.wait()
            else:
                await response.write(part)
        if play.breaks_off:
            request.transport.abort()
        if play.stays_open:
            await self._until_left()
        return response

    async def _until_left(self) -> None:
        try:
            await asyncio.Future[None]()
        finally:
            self.left.set()


@asynccontextmanager
async def model_server(*plays: Play) -> AsyncIterator[ModelServer]:
    server = ModelServer(plays=list(plays))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
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
    """A chunk that carries more of the reply."""
    return event({"choices": [{"index": 0, "delta": members, "finish_reason": None}]})


def finished(reason: str = "stop") -> bytes:
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def used(prompt: int, completion: int) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"choices": [], "usage": usage})


def a_reply(*texts: str) -> Play:
    """A whole reply of these texts."""
    deltas = [delta(content=text) for text in texts]
    return Play(parts=(delta(role="assistant"), *deltas, finished(), used(9, 2), DONE))


def refusal(status: int, *, headers: Mapping[str, str] | None = None, **error: Any) -> Play:
    body = json.dumps({"error": error}).encode()
    return Play(status=status, headers=headers or {}, parts=(body,))
