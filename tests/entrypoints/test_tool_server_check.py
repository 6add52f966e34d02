"""What ``privity doctor`` says about the tool servers of the assistant's file."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from entrypoints.cli.doctor import tool_server_findings
from entrypoints.settings import Settings
from ports.findings import Finding, Level
from tests.adapters.tool_servers.test_opening import output_of
from tests.support.mcp_server import SEARCH, SEND, odd_tool_server
from tests.support.processes import run_cli_in_process
from tests.support.redis_servers import free_port

HEAD = 'system_prompt = "Be kind."\n[welcome]\nen = "Hello!"\n'
NO_SERVERS = """
import asyncio, sys
from entrypoints.cli.doctor import tool_server_findings
from entrypoints.settings import Settings

asyncio.run(tool_server_findings(Settings()))
print(sorted({"mcp", "httpx2", "pydantic"} & set(sys.modules)))
"""


def an_assistant(folder: Path, **urls: str) -> Path:
    """An assistant's file with these tool servers."""
    servers = (f'[[tools.mcp]]\nname = "{name}"\nurl = "{url}"\n' for name, url in urls.items())
    file = folder / "assistant.toml"
    file.write_text(HEAD + "".join(servers))
    return file


async def test_each_server_has_a_finding(tmp_path: Path) -> None:
    async with odd_tool_server() as first, odd_tool_server() as second:
        first.tools, second.tools = [SEARCH], [SEND]
        file = an_assistant(tmp_path, first=first.url, second=second.url)
        findings = await tool_server_findings(Settings(assistant_file=file))

    assert [(finding.level, finding.topic) for finding in findings] == [
        (Level.GOOD, "tool server first"),
        (Level.GOOD, "tool server second"),
    ]


async def test_without_tool_servers_there_is_nothing_to_say() -> None:
    assert await tool_server_findings(Settings()) == [Finding(Level.GOOD, "tool servers", "none")]


def test_without_tool_servers_their_package_is_not_loaded() -> None:
    assert output_of(NO_SERVERS) == "[]\n"


async def test_without_the_package_the_finding_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("server_check", "mcp_servers"):
        monkeypatch.delitem(sys.modules, f"adapters.tool_servers.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.client", None)
    file = an_assistant(tmp_path, first="https://a.example/mcp", second="https://b.example/mcp")
    [finding] = await tool_server_findings(Settings(assistant_file=file))

    assert (finding.level, finding.topic) == (Level.PROBLEM, "tool servers")
    assert finding.text == "ASSISTANT_FILE names some, but the package mcp is not installed"
    assert finding.advice == "Install it with: pip install 'privity[mcp]'"


def test_doctor_checks_them(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/mcp"
    file = an_assistant(tmp_path, library=url)
    ended = run_cli_in_process(
        "doctor", "--json", REDIS_ENABLED="false", ASSISTANT_FILE=str(file), PRIVITY_V1="closed"
    )
    findings: list[dict[str, Any]] = json.loads(ended.out)
    [found] = [finding for finding in findings if finding["topic"] == "tool server library"]

    assert found["level"] == "problem"
    assert found["text"] == f"{url}: nothing answers there, or TLS fails"
    assert ended.code == 2
