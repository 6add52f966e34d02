"""``privity chat`` against a server that sends the responses of the test."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from entrypoints.cli.chat import TerminalChat, printable
from entrypoints.http.sse import DONE, event
from tests.support.processes import run_cli

SESSION = event({"sessionId": "s1", "restarted": False}, name="session-id")
RESTARTED = event({"sessionId": "s2", "restarted": True}, name="session-id")
REPLY = event({"type": "text-delta", "delta": "Hi!"}) + DONE
ABORT = event({"type": "abort"})
STOPPED = event({"type": "text-delta", "delta": "Half"}) + ABORT + DONE
FAILED = event({"type": "error", "errorText": "The model is busy.", "code": "model_busy"})
HELP = "/new starts a new conversation"


class Backend:
    """Sends its responses in order and records the requests.

    Attributes:
        half_shown: set when the terminal has shown half of a reply.
        before, during: called before a stream starts, and in the middle of it.
    """

    def __init__(self, *responses: bytes | tuple[int, str]) -> None:
        self._responses = list(responses)
        self.requests: list[tuple[str, str, object]] = []
        self.authorization: set[str] = set()
        self.half_shown = asyncio.Event()
        self.stopped = asyncio.Event()
        self.before: Callable[[], None] = lambda: None
        self.during: Callable[[], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.path, body))
        self.authorization.add(request.headers.get("authorization", ""))
        if request.path.endswith("/stop"):
            self.stopped.set()
            return web.json_response({"success": True})
        content = self._responses.pop(0)
        if isinstance(content, tuple):
            return web.json_response({"detail": content[1]}, status=content[0])
        self.before()
        await asyncio.sleep(0)
        response = web.StreamResponse()
        await response.prepare(request)
        start, stop, rest = content.partition(ABORT)
        await response.write(start)
        if self.during is not None:
            await self.during()
        await response.write(stop + rest)
        return response


@asynccontextmanager
async def terminal_of(backend: Backend) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """A function that types lines and returns everything that the terminal has shown."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend.handle)
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        if text == "Half":
            backend.half_shown.set()

    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        chat = TerminalChat(http, str(server.make_url("")).rstrip("/"), "ck_key", show)

        async def type_lines(*lines: str) -> str:
            rest: Iterator[str] = iter(lines)

            async def read_line() -> str | None:
                return next(rest, None)

            await chat.run(read_line)
            return "".join(shown)

        yield type_lines


async def test_lines_become_messages_of_one_conversation() -> None:
    backend = Backend(SESSION + REPLY, SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "", "Two")

    assert backend.requests == [
        ("POST", "/api/chat", {"message": "One"}),
        ("POST", "/api/chat", {"message": "Two", "sessionId": "s1"}),
    ]
    assert backend.authorization == {"Bearer ck_key"}
    assert shown.endswith("\nHi!\nHi!\n")


async def test_the_terminal_follows_the_server_into_a_new_conversation() -> None:
    backend = Backend(SESSION + REPLY, RESTARTED + REPLY, RESTARTED + REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "Two", "Three")

    assert backend.requests[2] == ("POST", "/api/chat", {"message": "Three", "sessionId": "s2"})
    assert "(The conversation no longer exists. This is a new one.)" in shown


async def test_new_starts_another_conversation_and_again_regenerates_the_reply() -> None:
    backend = Backend(SESSION + REPLY, SESSION + REPLY, SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        await type_lines("One", "/again", "/new", "Two")

    assert backend.requests[1:] == [
        ("POST", "/api/chat/s1/regenerate", {}),
        ("POST", "/api/chat", {"message": "Two"}),
    ]


async def test_forget_deletes_the_conversation_on_the_server() -> None:
    backend = Backend(SESSION + REPLY, b"")

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("/forget", "One", "/forget", "/again")

    assert backend.requests[1:] == [("DELETE", "/api/chat/s1", None)]
    assert shown.count("(Forgotten.)") == 2


async def test_quit_exits_and_an_unknown_command_shows_the_commands() -> None:
    backend = Backend()

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("/help", "/again", "/quit", "Never sent")

    assert shown.count(HELP) == 3
    assert backend.requests == []


async def test_a_problem_is_shown_and_the_conversation_continues() -> None:
    backend = Backend(SESSION + REPLY, (413, "Too long."), SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "x", "Two")

    assert shown.endswith("\nHi!\n(Too long.)\nHi!\n")
    assert backend.requests[2][2] == {"message": "Two", "sessionId": "s1"}


async def test_a_failed_and_a_stopped_reply_are_marked() -> None:
    backend = Backend(SESSION + FAILED, SESSION + STOPPED)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "Two")

    assert "\n(The model is busy.)\n" in shown
    assert shown.endswith("Half (stopped)\n")


@pytest.mark.parametrize(
    "code", [0, 7, 8, 0x1B, 0x7F, 0x80, 0x9B, 0x9F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
def test_a_control_character_is_shown_by_its_number(code: int) -> None:
    assert printable(f"a{chr(code)}b") == f"a<U+{code:04X}>b"


@pytest.mark.parametrize(
    "text", ["a\tb\n", "häivä", "مرحبا\u200f", "👩\u200d👧", "\u00a0\u2065\u206a"]
)
def test_other_text_is_printed_unchanged(text: str) -> None:
    assert printable(text) == text


def test_no_text_can_overwrite_its_line() -> None:
    assert printable("one\rtwo\r\n") == "onetwo\n"


async def test_nothing_that_the_server_sends_controls_the_terminal() -> None:
    evil = "\x1b]0;title\x07\x9b2J\u202e"
    reply = event({"type": "text-delta", "delta": evil}) + DONE
    error = event({"type": "error", "errorText": evil}) + DONE
    backend = Backend(SESSION + reply, SESSION + error, (413, evil), (403, evil))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend.handle)

    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        lines = "One\nTwo\nThree"
        ended = await run_cli("chat", "--url", url, stdin=lines, PRIVITY_CLIENT_KEY="ck_key")
        refused = await run_cli("chat", "--url", url)

    shown = ended.out + ended.err + refused.out + refused.err
    assert shown.count("<U+001B>]0;title<U+0007><U+009B>2J<U+202E>") == 4
    assert not set("\x1b\x07\x9b\u202e") & set(shown)


async def test_ctrl_c_before_the_first_event_stops_the_reply_once_it_has_started() -> None:
    backend = Backend(SESSION + STOPPED)

    async def wait_for_stop() -> None:
        await asyncio.wait_for(backend.stopped.wait(), 10)

    backend.during = wait_for_stop
    backend.before = lambda: os.kill(os.getpid(), signal.SIGINT)
    async with terminal_of(backend) as type_lines:
        shown = await type_lines("Hello")

    assert ("POST", "/api/chat/s1/stop", {}) in backend.requests
    assert "Half (stopped)" in shown


async def test_ctrl_c_stops_the_reply_and_not_the_terminal() -> None:
    backend = Backend(SESSION + STOPPED, SESSION + REPLY)

    async def interrupt() -> None:
        backend.during = None
        await backend.half_shown.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await backend.stopped.wait()

    backend.during = interrupt
    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One")
        await type_lines("Two")

    assert ("POST", "/api/chat/s1/stop", {}) in backend.requests
    assert "Half (stopped)" in shown
    assert backend.requests[-1] == ("POST", "/api/chat", {"message": "Two", "sessionId": "s1"})
