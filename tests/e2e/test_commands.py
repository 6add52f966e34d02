"""The commands beside ``privity serve``."""

import base64

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient
from tests.support.processes import ran, ran_here
from tests.support.service import running_service


async def test_a_conversation_in_the_terminal(echo_service: str) -> None:
    lines = ["I am Ada", "Who am I?", "/new", "Who am I now?", "/quit", "Never said"]

    ended = await ran("chat", "--url", echo_service, said="\n".join(lines))

    assert (ended.code, ended.err) == (0, "")
    assert "I am Ada / Who am I? " in ended.out
    assert "> Who am I now? \n" in ended.out
    assert "Never said" not in ended.out


def test_a_conversation_in_the_terminal_ends_with_its_input(echo_service: str) -> None:
    ended = ran_here("chat", "--url", echo_service, said="Hello there")

    assert (ended.code, ended.err) == (0, "")
    assert "Hello there " in ended.out


async def test_asking_again_and_forgetting_in_the_terminal(echo_service: str) -> None:
    lines = ["One", "/again", "x" * 8_001, "/forget", "Two", "/nonsense"]

    ended = await ran("chat", "--url", echo_service, said="\n".join(lines))

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("> One \n") == 2
    assert "(A message has at most 8,000 characters.)" in ended.out
    assert "(Forgotten.)" in ended.out
    assert "> Two \n" in ended.out
    assert ended.out.count("/again regenerates the last reply") == 2


def test_a_terminal_without_a_server_is_told_how_to_start_one() -> None:
    ended = ran_here("chat", "--url", "http://127.0.0.1:1")

    assert ended.code == 1
    assert ended.err == (
        "privity: Cannot reach a Privity server at http://127.0.0.1:1. Start one: privity serve\n"
    )


def test_a_forged_client_key_is_refused_in_the_terminal(echo_service: str) -> None:
    ended = ran_here("chat", "--url", echo_service, said="Hi", PRIVITY_CLIENT_KEY="ck_PLANTED")

    assert "client key" in ended.out.lower()
    assert "PLANTED" not in ended.out + ended.err


async def test_a_new_master_key_makes_client_keys_that_work() -> None:
    master_key = ran_here("new-key", "spring").out.strip()
    client_key = ran_here("new-client-key", PRIVITY_KEYS=master_key).out.strip()

    async with running_service(Settings(keys=master_key), model=EchoModel()) as service:
        answer = await NativeClient(service.url, authorization=f"Bearer {client_key}").say("Hi")

    label, _, encoded = master_key.partition(":")
    assert (label, len(base64.b64decode(encoded))) == ("spring", 32)
    assert client_key.startswith("ck_")
    assert answer.status == 200


def test_no_two_master_keys_are_the_same() -> None:
    assert ran_here("new-key").out != ran_here("new-key").out


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (("new-key", "two words"), {}),
        (("new-client-key",), {}),
        (("new-client-key",), {"PRIVITY_KEYS": "PLANTED"}),
        (("new-client-key",), {"PRIVITY_KEYS": "first:PLANTED"}),
    ],
)
def test_a_key_that_cannot_be_made_is_told_in_one_line(
    arguments: tuple[str, ...], settings: dict[str, str]
) -> None:
    ended = ran_here(*arguments, **settings)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("privity: ")
    assert len(ended.err.splitlines()) == 1
    assert "PLANTED" not in ended.err


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help"), ("chat", "--help")])
def test_help_is_there(arguments: tuple[str, ...]) -> None:
    ended = ran_here(*arguments)

    assert (ended.code, ended.err) == (0, "")
    assert "Usage: " in ended.out


def test_the_version_is_told() -> None:
    ended = ran_here("--version")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.strip().replace(".", "").isdigit()
