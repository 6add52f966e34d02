"""Which tool servers are opened, and what happens without the package for them."""

import subprocess
import sys

import pytest

from adapters.outgoing_http.server_problem import ServerProblem
from adapters.system.clock import SystemClock
from adapters.tool_servers.opening import NoToolServers, open_tool_servers
from domain.model.tool_settings import ToolSettings
from tests.architecture.sources import ROOT
from tests.support.fakes import RecordingTelemetry
from tests.support.mcp_server import a_server, opened
from tests.support.tool_servers import a_server_tool

NO_SERVERS = """
import asyncio, sys
from adapters.system.clock import SystemClock
from adapters.tool_servers.opening import open_tool_servers
from domain.model.tool_settings import ToolSettings

async def main():
    async with open_tool_servers(ToolSettings(), clock=SystemClock(), telemetry=None):
        print(sorted({"mcp", "httpx2", "pydantic"} & set(sys.modules)))

asyncio.run(main())
"""
IMPORTS = """
import sys

def note(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event.startswith("socket.") or event == "subprocess.Popen" or writes:
        print(event, arguments)

sys.dont_write_bytecode = True
sys.addaudithook(note)
import adapters.tool_servers.mcp_servers
import threading
print(threading.active_count())
"""


def output_of(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(  # noqa: S603 - a program above
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


async def test_an_assistant_without_tool_servers_has_no_tools() -> None:
    async with open_tool_servers(
        ToolSettings(), clock=SystemClock(), telemetry=RecordingTelemetry()
    ) as tool_servers:
        output = await tool_servers.call(a_server_tool(), "{}")

        assert isinstance(tool_servers, NoToolServers)
        assert await tool_servers.tools() == ()
        assert output.failed


def test_without_tool_servers_the_package_is_not_loaded() -> None:
    assert output_of(NO_SERVERS) == "[]\n"


def test_loading_the_package_opens_no_connection_file_or_thread() -> None:
    assert output_of(IMPORTS) == "1\n"


async def test_without_the_package_the_problem_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "adapters.tool_servers.mcp_servers", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.client", None)

    with pytest.raises(ServerProblem, match=r"pip install 'privity\[mcp\]'"):
        async with opened(a_server("http://127.0.0.1:1/mcp")):
            pass


async def test_a_proxy_that_is_none_is_a_problem_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://user:pa55word@proxy.example:1080")

    with pytest.raises(ServerProblem, match="https_proxy: expected") as caught:
        async with opened(a_server("https://tools.example.org/mcp")):
            pass
    assert "pa55word" not in str(caught.value)
