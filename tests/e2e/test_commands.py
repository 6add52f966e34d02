"""The commands other than ``privity serve``."""

import base64

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient
from tests.support.processes import RUN, run_cli, run_cli_in_process
from tests.support.service import running_service

INVALID = {"PRIVITY_KEYS": "invalid", "REDIS_URL": "rediss://redis.invalid"}
WITHOUT_NETWORK = f"import socket; socket.socket.connect = socket.socket.bind = None; {RUN}"
COMMANDS = {
    *("serve", "chat", "doctor", "hook-check"),
    *("new-key", "new-client-key", "new-hook-secret"),
}


async def test_a_new_master_key_makes_client_keys_that_work() -> None:
    master_key = run_cli_in_process("new-key", "spring").out.strip()
    client_key = run_cli_in_process("new-client-key", PRIVITY_KEYS=master_key).out.strip()

    async with running_service(Settings(keys=master_key), model=EchoModel()) as service:
        answer = await NativeClient(service.url, authorization=f"Bearer {client_key}").send("Hi")

    label, _, encoded = master_key.partition(":")
    assert (label, len(base64.b64decode(encoded))) == ("spring", 32)
    assert client_key.startswith("ck_")
    assert answer.status == 200


def test_no_two_master_keys_are_the_same() -> None:
    assert run_cli_in_process("new-key").out != run_cli_in_process("new-key").out


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (("new-key", "two words"), {}),
        (("new-client-key",), {}),
        (("new-client-key",), {"PRIVITY_KEYS": "PLANTED"}),
        (("new-client-key",), {"PRIVITY_KEYS": "first:PLANTED"}),
    ],
)
def test_a_key_that_cannot_be_created_is_a_one_line_error(
    arguments: tuple[str, ...], settings: dict[str, str]
) -> None:
    ended = run_cli_in_process(*arguments, **settings)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("privity: ")
    assert len(ended.err.splitlines()) == 1
    assert "PLANTED" not in ended.err


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help"), ("chat", "--help")])
def test_every_command_has_help(arguments: tuple[str, ...]) -> None:
    ended = run_cli_in_process(*arguments)

    assert (ended.code, ended.err) == (0, "")
    assert "Usage: " in ended.out


def test_the_version_is_printed() -> None:
    ended = run_cli_in_process("--version")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.strip().replace(".", "").isdigit()


async def test_on_windows_one_sentence_says_where_it_runs() -> None:
    # There, uvloop cannot be imported.
    windows = (
        "import sys; sys.platform = 'win32'; sys.modules['uvloop'] = None; "
        "from privity import run; run()"
    )

    ended = await run_cli("serve", program=windows)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("privity: Privity runs on Linux and macOS, not on Windows.")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_a_shell_gets_a_script_that_completes_the_command(shell: str) -> None:
    ended = await run_cli(program=WITHOUT_NETWORK, _PRIVITY_COMPLETE=f"source_{shell}", **INVALID)

    assert (ended.code, ended.err) == (0, "")
    assert f"_PRIVITY_COMPLETE=complete_{shell}" in ended.out


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("privity ", COMMANDS),
        ("privity new-", {"new-key", "new-client-key", "new-hook-secret"}),
        ("privity chat --cl", {"--client-key-file"}),
    ],
)
async def test_commands_and_options_are_completed(typed: str, completed: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}

    ended = await run_cli(
        program=WITHOUT_NETWORK, _PRIVITY_COMPLETE="complete_bash", **words, **INVALID
    )

    assert (ended.code, ended.err) == (0, "")
    assert set(ended.out.split()) == completed


async def test_only_the_chat_loads_the_line_editor() -> None:
    loaded = "import atexit, sys; atexit.register(lambda: print('prompt_toolkit' in sys.modules)); "

    ended = await run_cli("--help", program=loaded + RUN)

    assert ended.out.splitlines()[-1] == "False"
