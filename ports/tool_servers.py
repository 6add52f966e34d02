"""Tools that we run on tool servers when the model calls them."""

from collections.abc import Sequence
from typing import Protocol

from attrs import field, frozen

from domain.model.prompt import Tool


@frozen(kw_only=True)
class ServerTool:
    """A tool on a tool server.

    Attributes:
        server: the server's name in the assistant's file.
        may_repeat: whether a call may be sent a second time if the first attempt fails.
    """

    tool: Tool
    server: str
    may_repeat: bool = False


@frozen(kw_only=True)
class ToolOutput:
    """What a tool answered, or why there is no answer.

    Attributes:
        output: JSON text, which the model gets.
        failed: True if the tool reports an error, or if there is no answer.
        reason: a word for the operator's log if there is no answer, such as ``timeout``.
    """

    output: str = field(repr=False)
    failed: bool = False
    reason: str | None = None


class ToolServers(Protocol):
    """All tool servers in the assistant's file."""

    async def tools(self) -> Sequence[ServerTool]:
        """The tools that may be offered, as each server has listed them last.

        A server that cannot be reached has those that it listed before, or none. Nothing is raised.
        """
        ...

    async def call(self, tool: ServerTool, arguments: str) -> ToolOutput:
        """Run the tool; ``arguments`` is the JSON text of an object.

        A failure is an output, because the model has to learn of it. So is a call that takes longer
        than the assistant's file allows. Nothing is raised. If the call is cancelled, it returns at
        once; then the server is told, and the connection is closed.
        """
        ...
