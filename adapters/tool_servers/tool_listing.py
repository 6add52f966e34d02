"""Which of the tools that a server lists may be offered."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import mcp_types
from attrs import field, frozen

from domain.model.limits import MAX_TOOLS_BYTES
from domain.model.prompt import TOOL_NAME, Tool
from domain.model.tool_settings import McpServer
from domain.service.user_input import nests_too_deeply
from ports.tool_servers import ServerTool

MAX_LISTED_TOOLS: Final = 1_000
"""How many tools of one server are looked at."""

_NAME: Final = re.compile(TOOL_NAME)


@frozen(kw_only=True)
class Listing:
    """The tools of servers that may be offered, and how many may not, by reason.

    The reasons: ``name`` (models do not accept such names), ``twice`` (another tool has the name),
    ``schema`` (its arguments are not an object), ``too-large`` (there is no room for it), and
    ``missing`` (the assistant's file allows a tool that the server does not have).
    """

    tools: tuple[ServerTool, ...] = ()
    left_out: Counter[str] = field(factory=Counter)


def listing(server: McpServer, listed: Sequence[mcp_types.Tool]) -> Listing:
    """The tools of one server that the assistant's file allows."""
    allowed = [tool for tool in listed if server.allowed is None or tool.name in server.allowed]
    left_out = Counter[str]()
    if server.allowed is not None:
        left_out["missing"] = len(server.allowed - {tool.name for tool in listed})
    tools: list[ServerTool] = []
    for tool in allowed:
        parameters = _parameters(tool)
        if not _NAME.fullmatch(tool.name):
            left_out["name"] += 1
        elif parameters is None:
            left_out["schema"] += 1
        else:
            tools.append(_server_tool(server, tool, parameters))
    kept = without_excess(tools)
    return Listing(tools=kept.tools, left_out=+(left_out + kept.left_out))


def without_excess(tools: Iterable[ServerTool]) -> Listing:
    """The first tool of each name, without those for which there is no room."""
    kept: dict[str, ServerTool] = {}
    left_out, room = Counter[str](), MAX_TOOLS_BYTES
    for tool in tools:
        size = tool.tool.size
        if tool.tool.name in kept:
            left_out["twice"] += 1
        elif size > room:
            left_out["too-large"] += 1
        else:
            kept[tool.tool.name] = tool
            room -= size
    return Listing(tools=tuple(kept.values()), left_out=left_out)


def _server_tool(server: McpServer, tool: mcp_types.Tool, parameters: str) -> ServerTool:
    hints = tool.annotations
    is_repeatable = hints is not None and bool(hints.read_only_hint or hints.idempotent_hint)
    return ServerTool(
        tool=Tool(
            name=tool.name,
            description=tool.description or tool.title,
            parameters=parameters,
        ),
        server=server.name,
        may_repeat=is_repeatable and tool.name not in server.never_repeat,
    )


def _parameters(tool: mcp_types.Tool) -> str | None:
    """The JSON Schema of the arguments; None if it is not one of an object, or no JSON."""
    schema = tool.input_schema
    if schema.get("type", "object") != "object":
        return None
    try:
        text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        # Python's parsers accept NaN and Infinity.
        return None
    return None if nests_too_deeply(text.encode()) else text
