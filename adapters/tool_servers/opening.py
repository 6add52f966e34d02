"""Opens the tool servers of the assistant's file, if it names any."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from adapters.outgoing_http.server_problem import ServerProblem
from domain.model.tool_settings import ToolSettings
from ports.clock import Clock
from ports.telemetry import Telemetry
from ports.tool_servers import ServerTool, ToolOutput, ToolServers

_NOT_INSTALLED: Final = (
    "ASSISTANT_FILE: tools.mcp needs the package mcp, which is not installed. Install it with: "
    "pip install 'privity[mcp]'"
)


class NoToolServers:
    """The tool servers of an assistant that has none."""

    async def tools(self) -> Sequence[ServerTool]:
        """See ``ToolServers.tools``."""
        return ()

    async def call(self, tool: ServerTool, arguments: str) -> ToolOutput:  # noqa: ARG002 - the port's
        """See ``ToolServers.call``."""
        return ToolOutput(output='"There is no such tool."', failed=True, reason="unknown")


@asynccontextmanager
async def open_tool_servers(
    settings: ToolSettings, *, clock: Clock, telemetry: Telemetry
) -> AsyncIterator[ToolServers]:
    """The tool servers in ``settings``. Nothing waits for their answers.

    Raises:
        ServerProblem: the package for them is not installed, or a proxy cannot be used.
    """
    if not settings.servers:
        yield NoToolServers()
        return
    try:
        # It loads much, which a service without tool servers does not need.
        from adapters.tool_servers.mcp_servers import open_mcp_servers  # noqa: PLC0415
    except ImportError as error:
        raise ServerProblem(_NOT_INSTALLED) from error
    async with open_mcp_servers(settings, clock=clock, telemetry=telemetry) as tool_servers:
        yield tool_servers
