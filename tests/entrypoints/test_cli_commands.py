"""``privity new-key`` and ``new-client-key``, and what ``serve`` refuses before it listens."""

import errno
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from entrypoints.cli import serve as serve_command
from entrypoints.cli.main import app
from entrypoints.settings import setting_infos

KEY = "first:" + "a2V5" * 10 + "a2U="


def run_cli(*arguments: str, **environment: str) -> Result:
    cleared: dict[str, str | None] = {info.name: None for info in setting_infos()}
    return CliRunner().invoke(app, arguments, env={**cleared, **environment})


@pytest.fixture(autouse=True)
def _process_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_command, "set_up_logging", lambda _: None)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_new_key_is_an_entry_of_the_key_ring() -> None:
    result = run_cli("new-key", "spring")

    ring = KeyRing.parse(result.stdout.strip())
    assert (result.exit_code, ring.first.label) == (0, "spring")
    assert result.stdout != run_cli("new-key", "spring").stdout


def test_an_invalid_label_is_refused() -> None:
    result = run_cli("new-key", "two words")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("privity: PRIVITY_KEYS: the label of entry 1 must have")


def test_a_new_client_key_belongs_to_the_key_ring() -> None:
    result = run_cli("new-client-key", PRIVITY_KEYS=KEY)

    keys = SealedClientKeys(ring=KeyRing.parse(KEY), random_bytes=bytes)
    assert result.exit_code == 0
    assert keys.authenticate(result.stdout.strip()).reissued_key is None


def test_a_client_key_needs_a_key_ring() -> None:
    result = run_cli("new-client-key")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "PRIVITY_KEYS is not set" in result.stderr


def test_a_client_key_needs_valid_settings() -> None:
    result = run_cli("new-client-key", PRIVITY_KEYS="planted", PRIVITY_DOCS="planted")

    assert (result.exit_code, result.stdout) == (2, "")
    assert [line[:21] for line in result.stderr.splitlines()] == [
        "privity: PRIVITY_DOCS",
        "privity: PRIVITY_KEYS",
    ]


def test_serve_reports_every_invalid_setting_at_once() -> None:
    result = run_cli("serve", PRIVITY_PROXIES="planted", MODEL_REPLY_TOKENS="planted")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "privity: PRIVITY_PROXIES: expected a whole number from 0 to 8.",
        "privity: MODEL_REPLY_TOKENS: expected a whole number from 16 to 1000000.",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "chat.example", ""])  # noqa: S104 - refused
def test_serve_refuses_remote_addresses_with_in_memory_storage(host: str) -> None:
    result = run_cli("serve", "--host", host)

    assert result.exit_code == 2
    assert result.stderr == (
        f"privity: Refusing to listen on {host or 'all addresses'} with in-memory storage. "
        "Set REDIS_URL, or REDIS_ENABLED=false if losing all conversations at restart is fine.\n"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9"])
def test_serve_listens_on_this_machine_with_in_memory_storage(host: str, taken_port: int) -> None:
    result = run_cli(
        "serve", "--host", host, "--port", str(taken_port), PRIVITY_KEYS="first:planted"
    )

    assert "REDIS_ENABLED" not in result.stderr


def test_serve_reports_an_address_in_use(taken_port: int) -> None:
    result = run_cli("serve", "--port", str(taken_port))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"privity: Cannot listen on 127.0.0.1 port {taken_port}: another program uses this port. "
        "Stop it, or choose another port with --port.\n"
    )


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.1", "this machine does not have this address. Use 0.0.0.0 for all of its "),
        ("nowhere.invalid", "the host name is not found."),
    ],
)
def test_serve_reports_an_address_of_another_machine(host: str, why: str) -> None:
    result = run_cli("serve", "--host", host, "--port", "0", REDIS_ENABLED="false")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"privity: Cannot listen on {host} port 0: {why}")


def test_serve_reports_a_port_that_only_the_system_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Tests may run as root, who may use every port.
    monkeypatch.setattr(socket.socket, "bind", refuse)
    result = run_cli("serve", "--port", "80")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "privity: Cannot listen on 127.0.0.1 port 80: this user may not use ports below 1024. "
        "Choose another port with --port.\n"
    )


def test_serve_refuses_invalid_keys_without_showing_them() -> None:
    result = run_cli("serve", "--port", "0", PRIVITY_KEYS="first:planted")

    assert result.exit_code == 2
    assert result.stderr.startswith("privity: PRIVITY_KEYS: the key of entry 1 has 5 bytes instead")
    assert "planted" not in result.stderr
    assert result.stdout == ""


def test_serve_says_what_tool_servers_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "adapters.tool_servers.mcp_servers", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.client", None)
    profile = tmp_path / "assistant.toml"
    profile.write_text(
        'system_prompt = "Be kind."\n[welcome]\nen = "Hello!"\n'
        '[[tools.mcp]]\nname = "library"\nurl = "https://tools.example.org/mcp"\n'
    )

    result = run_cli("serve", "--port", "0", ASSISTANT_FILE=str(profile))

    assert result.exit_code == 2
    assert result.stderr == (
        "privity: ASSISTANT_FILE: tools.mcp needs the package mcp, which is not installed. Install "
        "it with: pip install 'privity[mcp]'\n"
    )


def test_serve_refuses_an_unreadable_profile(tmp_path: Path) -> None:
    result = run_cli("serve", "--port", "0", ASSISTANT_FILE=str(tmp_path / "absent.toml"))

    assert result.exit_code == 2
    assert result.stderr == "privity: ASSISTANT_FILE: the file does not exist.\n"
