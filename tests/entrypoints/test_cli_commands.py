"""``privity new-key``, ``new-client-key`` and what ``serve`` refuses before it serves."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from entrypoints.cli import serve as serving
from entrypoints.cli.main import app
from entrypoints.settings import setting_infos

KEY = "first:" + "a2V5" * 10 + "a2U="


def told(*arguments: str, **environment: str) -> Result:
    cleared: dict[str, str | None] = {info.name: None for info in setting_infos()}
    return CliRunner().invoke(app, arguments, env={**cleared, **environment})


@pytest.fixture(autouse=True)
def _this_process_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "set_up_logging", lambda _: None)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_new_key_is_an_entry_of_the_key_ring() -> None:
    made = told("new-key", "spring")

    ring = KeyRing.parse(made.stdout.strip())
    assert (made.exit_code, ring.first.label) == (0, "spring")
    assert made.stdout != told("new-key", "spring").stdout


def test_a_label_that_would_not_be_read_again_is_refused() -> None:
    refused = told("new-key", "two words")

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("privity: PRIVITY_KEYS: each entry is label:base64")


def test_a_new_client_key_is_one_of_the_ring() -> None:
    made = told("new-client-key", PRIVITY_KEYS=KEY)

    keys = SealedClientKeys(ring=KeyRing.parse(KEY), random_bytes=bytes)
    assert made.exit_code == 0
    assert keys.authenticate(made.stdout.strip()).reissued_key is None


def test_a_client_key_without_a_ring_would_be_of_no_use() -> None:
    refused = told("new-client-key")

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "PRIVITY_KEYS is not set" in refused.stderr


def test_serve_tells_every_wrong_setting_at_once() -> None:
    refused = told("serve", PRIVITY_PROXIES="planted", MODEL_REPLY_TOKENS="planted")

    assert refused.exit_code == 2
    assert refused.stderr.splitlines() == [
        "privity: PRIVITY_PROXIES: expected a whole number from 0 to 8.",
        "privity: MODEL_REPLY_TOKENS: expected a whole number from 16 to 1000000.",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "chat.example", ""])  # noqa: S104 - refused
def test_serve_keeps_memory_on_this_machine_unless_told_otherwise(host: str) -> None:
    refused = told("serve", "--host", host)

    assert refused.exit_code == 2
    assert "set REDIS_ENABLED=false." in refused.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9"])
def test_serve_listens_on_this_machine_without_being_told(host: str, taken_port: int) -> None:
    ended = told("serve", "--host", host, "--port", str(taken_port), PRIVITY_KEYS="first:planted")

    assert "REDIS_ENABLED" not in ended.stderr


def test_serve_says_when_its_address_is_taken(taken_port: int) -> None:
    failed = told("serve", "--port", str(taken_port))

    assert failed.exit_code == 1
    why = f"privity: Cannot listen on 127.0.0.1 port {taken_port}: Address already in use"
    assert failed.stderr.startswith(why)


def test_serve_refuses_keys_without_showing_them() -> None:
    refused = told("serve", "--port", "0", PRIVITY_KEYS="first:planted")

    assert refused.exit_code == 2
    assert refused.stderr == "privity: PRIVITY_KEYS: the key 'first' must have 32 bytes.\n"
    assert refused.stdout == ""


def test_serve_refuses_a_profile_it_cannot_read(tmp_path: Path) -> None:
    refused = told("serve", "--port", "0", ASSISTANT_FILE=str(tmp_path / "absent.toml"))

    assert refused.exit_code == 2
    assert refused.stderr == "privity: ASSISTANT_FILE: the file cannot be read.\n"
