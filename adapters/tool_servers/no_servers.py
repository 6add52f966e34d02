"""The tool servers of an assistant that has none."""

from collections.abc import Sequence

from ports.tool_servers import ServerTool, ToolOutput


class NoToolServers:
    """Has no tools."""

    async def tools(self) -> Sequence[ServerTool]:
        """See ``ToolServers.tools``."""
        return ()

    async def call(self, tool: ServerTool, arguments: str) -> ToolOutput:  # noqa: ARG002 - the port's
        """See ``ToolServers.call``."""
        return ToolOutput(output='"There is no such tool."', failed=True, reason="unknown")
