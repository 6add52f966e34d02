"""The table ``tools`` of the assistant's file: client tools, and tool servers."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from adapters.assistant_profile.toml_values import (
    NAME_RULE,
    is_name,
    is_text,
    repeated,
    unknown_keys,
)
from adapters.assistant_profile.tool_servers_table import server_problems, tool_servers
from domain.model.limits import MAX_TOOLS_BYTES
from domain.model.prompt import Tool
from domain.model.tool_settings import DEFAULT_MAX_STEPS, DEFAULT_TOOL_TIMEOUT, ToolSettings

BOUNDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"max_steps": (1, 64), "timeout_seconds": (1, 600)}
)
"""The lowest and the highest value of each number."""

KEYS: Final = frozenset({"client", "mcp", *BOUNDS})
CLIENT_KEYS: Final = frozenset({"name", "description", "parameters"})
_NO_PARAMETERS: Final = MappingProxyType({"type": "object", "properties": {}})
_TOO_LARGE: Final = (
    f"tools.client has more than {MAX_TOOLS_BYTES:,} bytes of names, descriptions and parameters."
)


def tool_problems(tools: Any, folder: Path) -> list[str]:
    """Every problem in the table; an empty list if it is valid.

    ``folder``: where the relative paths in it begin.
    """
    if not isinstance(tools, dict):
        return ["tools must be a table."]
    return [
        *unknown_keys(tools, KEYS, "tools."),
        *(
            f"tools.{name} must be a whole number from {low:,} to {high:,}."
            for name, (low, high) in BOUNDS.items()
            if name in tools and not (type(tools[name]) is int and low <= tools[name] <= high)
        ),
        *_client_problems(tools.get("client", [])),
        *server_problems(tools.get("mcp", []), folder),
    ]


def tool_settings(tools: Mapping[str, Any], folder: Path) -> ToolSettings:
    """The tools in a valid table."""
    timeout = tools.get("timeout_seconds", DEFAULT_TOOL_TIMEOUT.total_seconds())
    return ToolSettings(
        client=tuple(map(_tool, tools.get("client", []))),
        servers=tool_servers(tools.get("mcp", []), folder),
        max_steps=tools.get("max_steps", DEFAULT_MAX_STEPS),
        timeout=timedelta(seconds=timeout),
    )


def _client_problems(tools: Any) -> Iterator[str]:
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        yield "tools.client must be a list of tables: [[tools.client]]"
        return
    problems = [problem for n, tool in enumerate(tools, 1) for problem in _tool_problems(n, tool)]
    yield from problems
    for name in repeated(tool.get("name") for tool in tools):
        yield f"tools.client has two tools with the name {name}."
    if not problems and sum(_tool(tool).size for tool in tools) > MAX_TOOLS_BYTES:
        yield _TOO_LARGE


def _tool_problems(number: int, tool: Mapping[str, Any]) -> Iterator[str]:
    path = f"tools.client[{number}]"
    yield from unknown_keys(tool, CLIENT_KEYS, f"{path}.")
    if not is_name(tool.get("name")):
        yield f"{path}.name {NAME_RULE}"
    if not is_text(tool.get("description")):
        yield f"{path}.description must be a non-empty string; the model reads it."
    if _parameters(tool) is None:
        yield (
            f"{path}.parameters must be a JSON Schema with the type object, as a table or as "
            "JSON in a string."
        )


def _parameters(tool: Mapping[str, Any]) -> str | None:
    """The JSON Schema as JSON text; None if it is invalid."""
    schema = tool.get("parameters", _NO_PARAMETERS)
    try:
        schema = json.loads(schema) if isinstance(schema, str) else schema
        is_object = isinstance(schema, Mapping) and schema.get("type") == "object"
        return json.dumps(dict(schema), ensure_ascii=False, allow_nan=False) if is_object else None
    except (TypeError, ValueError, RecursionError):
        # TOML has dates and infinite numbers, and JSON has none.
        return None


def _tool(tool: Mapping[str, Any]) -> Tool:
    return Tool(
        name=tool["name"], parameters=_parameters(tool) or "{}", description=tool["description"]
    )
