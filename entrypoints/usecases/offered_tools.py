"""Decides which tools the model is offered, and who runs each of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen

from domain.model.assistant import Assistant
from domain.model.message import NO_SERVER
from domain.model.prompt import ReplyOptions, Tool
from ports.tool_servers import ServerTool, ToolServers

_NO_TOOLS: Final[Mapping[str, ServerTool]] = MappingProxyType({})


@frozen(kw_only=True)
class Offer:
    """The tools that the model may call in one turn.

    Attributes:
        tools: those of the caller and the hook, those of the assistant's file that the client runs,
            and those of tool servers. Of tools with the same name, only the first is offered.
        ours: the tools among them that we run, by name.
        others_to_client: whether the client gets the calls of tools that are not among ``tools``.
            Otherwise these calls fail, and the model is told.
        unknown_names: how many of the hook's names no tool has.
    """

    tools: tuple[Tool, ...] = ()
    ours: Mapping[str, ServerTool] = field(default=_NO_TOOLS, repr=False)
    others_to_client: bool = True
    unknown_names: int = 0

    def in_options(self, options: ReplyOptions) -> ReplyOptions:
        """The options with all tools."""
        is_same = options.tools == self.tools
        return options if is_same else evolve(options, tools=self.tools)

    def server_of(self, name: str) -> str | None:
        """Where the tool with this name is run; see ``ToolCallPart.server``."""
        ours = self.ours.get(name)
        if ours is not None:
            return ours.server
        if self.others_to_client or any(tool.name == name for tool in self.tools):
            return None
        return NO_SERVER


@frozen(kw_only=True)
class OfferedTools:
    """Adds the tools of the assistant's file to those of the caller."""

    assistant: Assistant
    tool_servers: ToolServers

    async def __call__(
        self,
        options: ReplyOptions,
        *,
        own_tools: bool | None = None,
        names: frozenset[str] | None = None,
    ) -> Offer:
        """All tools of one turn.

        Args:
            options: the caller's options, or those after the hook has been asked.
            own_tools: whether the caller has tools of its own; None: yes if ``options`` have any.
            names: the names of the tools in the assistant's file that may be offered; None: all.
        """
        own_tools = bool(options.tools) if own_tools is None else own_tools
        client, servers = self.assistant.tools.client, await self.tool_servers.tools()
        in_file: list[Tool | ServerTool] = [*(client if options.client_tools else ()), *servers]
        tools, ours = [*options.tools], dict[str, ServerTool]()
        taken = {tool.name for tool in tools}
        in_use = taken.union((one.name for one in client), (one.tool.name for one in servers))
        for tool in in_file:
            declared = tool.tool if isinstance(tool, ServerTool) else tool
            if declared.name in taken or not (names is None or declared.name in names):
                continue
            taken.add(declared.name)
            tools.append(declared)
            if isinstance(tool, ServerTool):
                ours[declared.name] = tool
        # A model without tools that calls one has it from its server, and the client may know it.
        return Offer(
            tools=tuple(tools),
            ours=ours,
            others_to_client=own_tools or not tools,
            unknown_names=len((names or frozenset()) - in_use),
        )
