"""The instruction in the prompt's last message tells this model server how to reply, or to fail.

An instruction is ``tell <name> <pieces> <pause in ms> <ending>``; its reply is
``<name>.1 <name>.2 …``.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from attrs import Factory, define

from tests.support.model_server import DONE, delta, finished, used

FINISH: Final = "finish"
HANG: Final = "hang"
DIE: Final = "die"
GARBAGE: Final = "garbage"
REFUSE: Final = "refuse"


def instruction(name: str, pieces: int, pause: int = 0, ending: str = FINISH) -> str:
    return f"tell {name} {pieces} {pause} {ending}"


def reply_to(name: str, pieces: int) -> str:
    """The whole reply to such an instruction."""
    return "".join(_pieces(name, pieces))


def _pieces(name: str, count: int) -> list[str]:
    return [f"{name}.{number} " for number in range(1, count + 1)]


@define
class InstructedModel:
    """Counts its requests by the name in the instruction, and those that nobody waits for."""

    url: str = ""
    requests: Counter[str] = Factory(Counter)
    abandoned: Counter[str] = Factory(Counter)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.read())["messages"][-1]["content"]
        _, name, count, pause, ending = str(message).split()[-5:]  # A page context precedes it.
        self.requests[name] += 1
        if ending == REFUSE:
            return web.Response(status=500, text="no")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in _pieces(name, int(count)):
            await response.write(delta(content=piece))
            await asyncio.sleep(int(pause) / 1000)
        try:
            await _end(request, response, ending)
        except asyncio.CancelledError:
            self.abandoned[name] += 1
            raise
        return response


async def _end(request: web.Request, response: web.StreamResponse, ending: str) -> None:
    if ending == FINISH:
        await response.write(finished() + used(1, 1) + DONE)
    elif ending == HANG:
        await asyncio.Future[None]()
    elif ending == GARBAGE:
        await response.write(b"data: {\xff\x00 not json\n\n")
    elif ending == DIE:
        await response.write(delta(content="half")[:30])
        assert request.transport is not None
        # Closed, not aborted, so that the pieces before it arrive.
        request.transport.close()


@asynccontextmanager
async def instructed_model_server() -> AsyncIterator[InstructedModel]:
    model = InstructedModel()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield model
    finally:
        await runner.cleanup()
