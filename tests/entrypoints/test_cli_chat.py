"""The conversation in the terminal, against a server that answers what a test wrote."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from entrypoints.cli.chat import Talk
from entrypoints.http.sse import DONE, event

HELLO = event({"sessionId": "s1", "restarted": False}, name="session-id")
ANEW = event({"sessionId": "s2", "restarted": True}, name="session-id")
REPLY = event({"type": "text-delta", "delta": "Hi!"}) + DONE
ABORT = event({"type": "abort"})
STOPPED = event({"type": "text-delta", "delta": "Half"}) + ABORT + DONE
FAILED = event({"type": "error", "errorText": "The model is busy.", "code": "model_busy"})
HELP = "/new begins again"


class Backend:
    """Plays its answers in order, and notes what it was asked."""

    def __init__(self, *answers: bytes | tuple[int, str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, object]] = []
        self.authorization: set[str] = set()
        self.shown = asyncio.Event()
        self.stopped = asyncio.Event()
        self.before: Callable[[], None] = lambda: None
        self.during: Callable[[], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path, body))
        self.authorization.add(request.headers["authorization"])
        if request.path.endswith("/stop"):
            self.stopped.set()
            return web.json_response({"success": True})
        answer = self._answers.pop(0)
        if isinstance(answer, tuple):
            return web.json_response({"detail": answer[1]}, status=answer[0])
        self.before()
        await asyncio.sleep(0)
        response = web.StreamResponse()
        await response.prepare(request)
        beginning, stop, rest = answer.partition(ABORT)
        await response.write(beginning)
        if self.during is not None:
            await self.during()
        await response.write(stop + rest)
        return response


@asynccontextmanager
async def talking_to(backend: Backend) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """A function that says lines and returns what the terminal showed."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend.handle)
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        if text == "Half":
            backend.shown.set()

    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        talk = Talk(http, str(server.make_url("")).rstrip("/"), "ck_key", show)

        async def say(*lines: str) -> str:
            rest: Iterator[str] = iter(lines)

            async def ask() -> str | None:
                return next(rest, None)

            await talk.run(ask)
            return "".join(shown)

        yield say


async def test_lines_become_messages_of_one_conversation() -> None:
    backend = Backend(HELLO + REPLY, HELLO + REPLY)

    async with talking_to(backend) as say:
        shown = await say("One", "", "Two")

    assert backend.asked == [
        ("POST", "/api/chat", {"message": "One"}),
        ("POST", "/api/chat", {"message": "Two", "sessionId": "s1"}),
    ]
    assert backend.authorization == {"Bearer ck_key"}
    assert shown.endswith("\nHi!\nHi!\n")


async def test_the_terminal_follows_the_server_into_a_new_conversation() -> None:
    backend = Backend(HELLO + REPLY, ANEW + REPLY, ANEW + REPLY)

    async with talking_to(backend) as say:
        shown = await say("One", "Two", "Three")

    assert backend.asked[2] == ("POST", "/api/chat", {"message": "Three", "sessionId": "s2"})
    assert "(The conversation had been forgotten; this is a new one.)" in shown


async def test_new_begins_another_conversation_and_again_asks_for_another_answer() -> None:
    backend = Backend(HELLO + REPLY, HELLO + REPLY, HELLO + REPLY)

    async with talking_to(backend) as say:
        await say("One", "/again", "/new", "Two")

    assert backend.asked[1:] == [
        ("POST", "/api/chat/s1/regenerate", {}),
        ("POST", "/api/chat", {"message": "Two"}),
    ]


async def test_forget_forgets_on_the_server() -> None:
    backend = Backend(HELLO + REPLY, b"")

    async with talking_to(backend) as say:
        shown = await say("/forget", "One", "/forget", "/again")

    assert backend.asked[1:] == [("DELETE", "/api/chat/s1", None)]
    assert shown.count("(Forgotten.)") == 2


async def test_quit_leaves_and_anything_else_shows_the_commands() -> None:
    backend = Backend()

    async with talking_to(backend) as say:
        shown = await say("/help", "/again", "/quit", "Never said")

    assert shown.count(HELP) == 3
    assert backend.asked == []


async def test_a_refusal_is_shown_and_the_conversation_goes_on() -> None:
    backend = Backend(HELLO + REPLY, (413, "Too long."), HELLO + REPLY)

    async with talking_to(backend) as say:
        shown = await say("One", "x", "Two")

    assert shown.endswith("\nHi!\n(Too long.)\nHi!\n")
    assert backend.asked[2][2] == {"message": "Two", "sessionId": "s1"}


async def test_a_failed_and_a_stopped_reply_say_so() -> None:
    backend = Backend(HELLO + FAILED, HELLO + STOPPED)

    async with talking_to(backend) as say:
        shown = await say("One", "Two")

    assert "\n(The model is busy.)\n" in shown
    assert shown.endswith("Half (stopped)\n")


async def test_ctrl_c_before_the_first_event_stops_the_reply_once_it_has_begun() -> None:
    backend = Backend(HELLO + STOPPED)

    async def interrupting() -> None:
        await asyncio.wait_for(backend.stopped.wait(), 10)

    backend.during = interrupting
    backend.before = lambda: os.kill(os.getpid(), signal.SIGINT)
    async with talking_to(backend) as talk:
        shown = await talk("Hello")

    assert ("POST", "/api/chat/s1/stop", {}) in backend.asked
    assert "Half (stopped)" in shown


async def test_ctrl_c_stops_the_reply_and_not_the_terminal() -> None:
    backend = Backend(HELLO + STOPPED, HELLO + REPLY)

    async def interrupting() -> None:
        backend.during = None
        await backend.shown.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await backend.stopped.wait()

    backend.during = interrupting
    async with talking_to(backend) as say:
        shown = await say("One")
        await say("Two")

    assert ("POST", "/api/chat/s1/stop", {}) in backend.asked
    assert "Half (stopped)" in shown
    assert backend.asked[-1] == ("POST", "/api/chat", {"message": "Two", "sessionId": "s1"})
