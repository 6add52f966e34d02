"""How ``privity chat`` prints a reply: its end, a lost connection, and Ctrl-C."""

import asyncio
import os
import signal

import pytest
from aiohttp import web

from entrypoints.cli.terminal import UserLeft
from entrypoints.http.sse import DONE, event
from tests.support.chat_backend import REPLY, SESSION, STOPPED, THINKING, Backend, Lost, terminal_of

CUT = "(The reply was cut off because it reached its maximum length. /continue continues it.)"

WAITS = "(The model waits for a tool that this program cannot run. Go on without it.)"


@pytest.mark.parametrize(
    ("text", "reason", "shown"),
    [
        (
            "Half",
            "length",
            f"Half\n{CUT}\n",
        ),
        ("Half", "content-filter", "Half\n(The reply was cut off by the content filter.)\n"),
        ("Half", "stop", "Half\n"),
        ("", "length", "(The model used up the maximum length before it wrote an answer.)\n"),
        ("", "content-filter", "(The content filter held back the reply.)\n"),
        ("", "stop", "(The model sent no text.)\n"),
        ("Half", "tool-calls", f"Half\n{WAITS}\n"),
        ("", "tool-calls", f"{WAITS}\n"),
        ("\n", "stop", "\n\n(The model sent no text.)\n"),
    ],
)
async def test_a_reply_that_is_not_whole_says_why(text: str, reason: str, shown: str) -> None:
    delta = event({"type": "text-delta", "delta": text}) if text else b""
    finish = event({"type": "finish", "finishReason": reason})
    backend = Backend(SESSION + delta + finish + DONE)

    async with terminal_of(backend) as type_lines:
        assert await type_lines("One") == shown


async def test_only_the_rest_of_a_continued_reply_is_printed() -> None:
    cut = event({"type": "finish", "finishReason": "length"}) + DONE
    half, rest, end = delta("Once upon a ti"), delta("me"), delta(" there was.")
    backend = Backend(
        SESSION + half + cut,
        (409, "There is no reply to continue."),
        SESSION + half + rest + cut,
        SESSION + half + rest + end + DONE,
    )

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "/continue", "/continue", "/continue")

    assert shown == (
        f"Once upon a ti\n{CUT}\n(There is no reply to continue.)\nme\n{CUT}\n there was.\n"
    )
    paths = [path for _, path, _ in backend.requests if path.endswith("/continue")]
    assert paths == ["/api/chat/s1/continue"] * 3


async def test_without_a_reply_there_is_nothing_to_continue() -> None:
    backend = Backend(SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("/continue", "One", "/new", "/continue")

    assert shown.count("(There is no reply to continue.)") == 2
    assert len(backend.requests) == 1


async def test_thinking_is_announced_once_to_a_person_only() -> None:
    responses = [SESSION + THINKING + THINKING + REPLY] * 2
    backend = Backend(*responses)

    async with terminal_of(backend) as type_lines:
        plain = await type_lines("One")
    async with terminal_of(backend, is_interactive=True) as type_lines:
        shown = await type_lines("One")

    assert plain == "Hi!\n"
    assert shown.endswith("!\n(Thinking …)\nHi!\n")


END = event({"type": "finish", "finishReason": "stop"}) + DONE


def a_call(call_id: str, **members: bool) -> bytes:
    call = {"type": "tool-input-start", "toolCallId": call_id, "toolName": "search", **members}
    return event(call)


SOURCES = event(
    {"type": "source-url", "sourceId": "s1", "title": "A\nguide", "url": "https://a.example"}
) + event({"type": "source-document", "sourceId": "s2", "title": "Notes"})


@pytest.mark.parametrize(
    ("is_interactive", "shown"),
    [
        (True, "(Using search …)\nI see\n(Using search …)\n. Hi [1]\n"),
        (False, "I see. Hi [1]\n"),
    ],
)
async def test_tools_and_sources_are_shown_to_a_person_only(
    *, is_interactive: bool, shown: str
) -> None:
    ours = {"providerExecuted": True}
    whole = a_call("a", **ours) + delta("I see") + a_call("b", **ours) + delta(". Hi [1]")
    backend = Backend(SESSION + SOURCES + whole + a_call("c") + END)

    async with terminal_of(backend, is_interactive=is_interactive) as type_lines:
        beginning = "!\n" if is_interactive else ""
        lines = "[1] A guide https://a.example\n[2] Notes\n" if is_interactive else ""
        assert (await type_lines("One")).endswith(f"{beginning}{shown}{lines}")


@pytest.mark.parametrize(
    ("is_interactive", "shown"),
    [(True, "I look.\n(Using search …)\nFound.\n"), (False, "I look.\n\nFound.\n")],
)
async def test_the_texts_of_two_steps_are_separated(*, is_interactive: bool, shown: str) -> None:
    step = event({"type": "start-step"})
    call = a_call("a", providerExecuted=True)
    backend = Backend(SESSION + step + delta("I look.") + call + step + delta("Found.") + END)

    async with terminal_of(backend, is_interactive=is_interactive) as type_lines:
        assert (await type_lines("One")).endswith(shown)


async def test_a_replayed_tool_is_shown_once() -> None:
    ours = a_call("a", providerExecuted=True) + delta("Hi")
    backend = Backend(Lost(SESSION + ours), SESSION + ours + END)

    async with terminal_of(backend, is_interactive=True) as type_lines:
        assert (await type_lines("One")).endswith("!\n(Using search …)\nHi\n")


def delta(text: str) -> bytes:
    return event({"type": "text-delta", "delta": text})


ONE, TWO, FIVE = delta("One, "), delta("two, "), delta("five.")


@pytest.mark.parametrize(
    ("responses", "shown"),
    [
        ([Lost(SESSION + ONE), SESSION + ONE + FIVE + DONE], "One, five.\n"),
        ([Lost(SESSION + ONE + TWO), SESSION + ONE + TWO + FIVE + DONE], "One, two, five.\n"),
        ([Lost(SESSION + ONE), SESSION + delta("One, five.") + DONE], "One, five.\n"),
        ([Lost(SESSION + ONE), Lost(SESSION), SESSION + ONE + FIVE + DONE], "One, five.\n"),
        ([Lost(before_the_response=True), SESSION + FIVE + DONE], "five.\n"),
        (
            [Lost(SESSION + ONE + TWO), SESSION + ONE + FIVE + DONE],
            "One, two, \n(The reply begins again.)\nOne, five.\n",
        ),
        (
            [Lost(SESSION + ONE), Lost(before_the_response=True), Lost(before_the_response=True)],
            "One, \n(The connection to the server was lost.)\n",
        ),
        ([(503, "Not now."), SESSION + FIVE + DONE], "five.\n"),
        ([Lost(SESSION + ONE), (409, "Too late.")], "One, \n(Too late.)\n"),
    ],
)
async def test_after_a_lost_connection_the_reply_continues_where_it_broke_off(
    responses: list[bytes | Lost | tuple[int, str]], shown: str
) -> None:
    backend = Backend(*responses)

    async with terminal_of(backend) as type_lines:
        assert await type_lines("Count") == shown

    assert backend.requests == [("POST", "/api/chat", {"message": "Count"})] * len(responses)
    assert len(set(backend.idempotency_keys)) == 1


async def test_each_message_has_an_idempotency_key_of_its_own() -> None:
    backend = Backend(SESSION + REPLY, SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        await type_lines("One", "One")

    assert len(set(backend.idempotency_keys)) == 2


@pytest.mark.parametrize(
    "response",
    [b"", b"<html>", b"data: <html>\n\n", b"data: []\n\n"],
    ids=["no stream", "html", "no json", "no object"],
)
async def test_another_server_is_recognised(response: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/api/chat"
        kind = "text/event-stream" if b"data" in response else "text/html"
        return web.Response(body=response, content_type=kind)

    backend = Backend()
    vars(backend)["handle"] = answer
    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One")

    assert "does not answer like a Privity server.)" in shown


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


async def test_a_second_ctrl_c_leaves_if_the_reply_does_not_stop() -> None:
    backend = Backend(SESSION + STOPPED)

    async def interrupt_twice() -> None:
        await backend.half_shown.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await backend.stopped.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    backend.during = interrupt_twice
    async with terminal_of(backend) as type_lines:
        with pytest.raises(UserLeft):
            await type_lines("One")


async def test_a_reply_that_cannot_be_stopped_ends_with_one_message() -> None:
    backend = Backend(SESSION + STOPPED)
    backend.stop_status = 503

    async def interrupt() -> None:
        await backend.half_shown.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    backend.during = interrupt
    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One")

    assert shown == "Half\n(Not now.)\n"
