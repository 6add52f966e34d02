"""``privity chat`` as a process: in a pseudo-terminal, and with input from elsewhere."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from entrypoints.cli.chat_client import ChatClient
from entrypoints.cli.terminal_chat import TerminalChat
from tests.support.chat_backend import REPLY, SESSION, Backend, served
from tests.support.fake_model import FakeModel
from tests.support.processes import run_cli, run_cli_in_process, start
from tests.support.pseudo_terminal import (
    BACKSPACE,
    CTRL_C,
    CTRL_D,
    ENTER,
    LEFT,
    UP,
    in_a_terminal,
)
from tests.support.service import RunningService, running_service

PROMPT = "you >"
INTERRUPTED = 128 + signal.SIGINT


async def test_a_person_is_welcomed_edits_lines_and_finds_earlier_ones(echo_service: str) -> None:
    async with in_a_terminal("chat", PRIVITY_URL=echo_service) as terminal:
        start = await terminal.read_until(PROMPT)
        terminal.press(b"I am Bda", LEFT, LEFT, BACKSPACE, b"A", ENTER)
        first = await terminal.read_until(f"I am Ada \r\n\r\n{PROMPT}")
        terminal.press(UP, b" Lovelace", ENTER)
        await terminal.read_until("I am Ada / I am Ada Lovelace \r\n")
        await terminal.read_until(PROMPT)
        terminal.press(CTRL_D)

        assert await terminal.wait() == 0

    assert "/quit exits. Ctrl-C stops a reply.\r\n\r\nHello! What would you like" in start
    assert "\r\nI am Ada \r\n" in first
    assert "WARNING" not in terminal.shown


async def test_ctrl_c_at_the_prompt_leaves(echo_service: str) -> None:
    async with in_a_terminal("chat", "--url", echo_service) as terminal:
        await terminal.read_until(PROMPT)
        terminal.press(b"unfinished", CTRL_C)

        assert await terminal.wait() == INTERRUPTED

    assert "Traceback" not in terminal.shown


async def test_ctrl_c_during_a_reply_stops_the_reply(
    service: RunningService, fake_model: FakeModel
) -> None:
    async with in_a_terminal("chat", "--url", service.url) as terminal:
        await terminal.read_until(PROMPT)
        terminal.press(b"Count", ENTER)
        reply = await fake_model.next_reply()
        reply.send_text("One, ")
        await terminal.read_until("One, ")
        terminal.press(CTRL_C)
        await terminal.read_until(" (stopped)\r\n\r\nyou >")
        terminal.press(b"/quit", ENTER)

        assert await terminal.wait() == 0

    assert reply.closed.is_set()


async def test_a_failed_reply_is_one_line(service: RunningService, fake_model: FakeModel) -> None:
    async with in_a_terminal("chat", "--url", service.url) as terminal:
        await terminal.read_until(PROMPT)
        terminal.press(b"Count", ENTER)
        reply = await fake_model.next_reply()
        reply.send_text("One, ")
        await terminal.read_until("One, ")
        reply.fail()
        after = await terminal.read_until(PROMPT)

    assert after.count("(") == 1


async def test_ctrl_c_leaves_while_a_pipe_is_silent(echo_service: str) -> None:
    process = await start("chat", "--url", echo_service, settings={})
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"Hello\n")
    assert await process.stdout.readline() == b"Hello \n"

    process.send_signal(signal.SIGINT)

    _, errors = await process.communicate()
    assert (process.returncode, errors) == (INTERRUPTED, b"")


async def test_lines_from_elsewhere_are_messages_and_only_replies_are_printed(
    echo_service: str,
) -> None:
    lines = ["I am Ada", "Who am I?", "/new", "Who am I now?", "/quit", "Never sent"]

    ended = await run_cli("chat", "--url", echo_service, stdin="\n".join(lines))

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "I am Ada \nI am Ada / Who am I? \n"
        "(New conversation. The previous one is kept until it expires.)\nWho am I now? \n"
    )


async def test_a_message_from_elsewhere_that_fails_is_an_exit_status(echo_service: str) -> None:
    lines = ["One", "/again", "x" * 8_001, "/forget", "Two", "/nonsense"]

    ended = await run_cli("chat", "--url", echo_service, stdin="\n".join(lines))

    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(
        "One \nOne \n(A message has at most 8,000 characters.)\n(Forgotten.)\nTwo \n"
    )
    assert ended.out.count("/again regenerates the last reply") == 1


def test_without_a_server_one_line_says_how_to_start_one() -> None:
    ended = run_cli_in_process("chat", "--url", "http://127.0.0.1:1/")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "privity: Cannot reach a Privity server at http://127.0.0.1:1. Start one: privity serve\n"
    )


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a.test", "http://me:planted@a.test", ""])
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(url: str) -> None:
    ended = run_cli_in_process("chat", "--url", url)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "privity: --url: expected an http or https URL without user, password or query.\n"
    )


async def test_the_client_key_comes_from_a_file_or_else_from_the_environment(
    tmp_path: Path,
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("ck_in_the_file\n")
    backend = Backend(*[SESSION + REPLY] * 3)
    variable = {"PRIVITY_CLIENT_KEY": "ck_variable"}
    sent = []

    async with served(backend) as url:
        for arguments, settings in (
            ((), variable),
            (("--client-key-file", str(key_file)), {}),
            ((), {**variable, "PRIVITY_CLIENT_KEY_FILE": str(key_file)}),
        ):
            ended = await run_cli("chat", "--url", url, *arguments, stdin="Hi", **settings)
            assert (ended.code, ended.out) == (0, "Hi!\n")
            sent.append(backend.authorization.pop())

    assert sent == ["Bearer ck_variable", *["Bearer ck_in_the_file"] * 2]


@pytest.mark.parametrize("content", [None, b"", b"ck_a ck_planted", b"\xff planted"])
def test_a_file_without_a_client_key_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    key_file = tmp_path / "planted"
    if content is not None:
        key_file.write_bytes(content)

    ended = run_cli_in_process("chat", PRIVITY_CLIENT_KEY_FILE=str(key_file))

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("privity: --client-key-file: ")
    assert len(ended.err.splitlines()) == 1
    assert "planted" not in ended.err


@pytest.mark.parametrize("key", ["ck_planted\r\nck_b", "ck_plänted", "\udcff planted"])
def test_a_variable_without_a_client_key_is_one_line(echo_service: str, key: str) -> None:
    ended = run_cli_in_process("chat", "--url", echo_service, stdin="Hi", PRIVITY_CLIENT_KEY=key)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "privity: PRIVITY_CLIENT_KEY: expected a client key and nothing else.\n"


def test_a_client_key_as_an_argument_is_refused_with_the_alternatives() -> None:
    ended = run_cli_in_process("chat", "--client-key", "ck_planted")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "privity: A client key is not accepted as an argument, because other users of this machine "
        "could see it. Use --client-key-file or the variable PRIVITY_CLIENT_KEY.\n"
    )


def test_a_forged_client_key_is_rejected_and_not_shown(echo_service: str) -> None:
    ended = run_cli_in_process(
        "chat", "--url", echo_service, stdin="Hi", PRIVITY_CLIENT_KEY="ck_PLANTED"
    )

    assert ended.code == 1
    assert "client key" in ended.out.lower()
    assert "PLANTED" not in ended.out + ended.err


async def test_after_a_restart_that_forgets_everything_the_chat_goes_on(
    service: RunningService, fake_model: FakeModel
) -> None:
    shown: list[str] = []
    async with aiohttp.ClientSession() as http, running_service() as earlier:
        before = ChatClient(http, earlier.url, None)
        await before.create_client_key()
        client = ChatClient(http, service.url, None)
        client._headers = before._headers
        sending = asyncio.create_task(TerminalChat(client, shown.append).handle("Hello"))
        reply = await fake_model.next_reply()
        reply.send_text("Hi.")
        reply.finish()
        await sending

    assert "".join(shown) == "Hi.\n"
