"""What a caller wishes for one reply, as members of the body of ``POST /chat/completions``.

Source: the OpenAI API reference, "Create chat completion".
"""

from collections.abc import Iterator, Set
from typing import Any, Final

from msgspec import Raw

from domain.model.wishes import Tool, Wishes

HINTS: Final = ("reasoning_effort", "verbosity", "parallel_tool_calls")
"""What a reply can do without."""


def wished_members(wishes: Wishes, without: Set[str] = frozenset()) -> dict[str, Any]:
    """Only what was wished: a server that does not know a member refuses it."""
    wished = {name: value for name, value in _members(wishes) if value is not None}
    return {name: value for name, value in wished.items() if name not in without}


def _members(wishes: Wishes) -> Iterator[tuple[str, Any]]:
    yield "temperature", wishes.temperature
    yield "top_p", wishes.top_p
    yield "reasoning_effort", wishes.effort
    yield "verbosity", wishes.verbosity
    yield "response_format", None if wishes.format is None else Raw(wishes.format.encode())
    if wishes.tools:
        yield "tools", [_tool(tool) for tool in wishes.tools]
        yield "tool_choice", _choice(wishes.tool_choice)
        yield "parallel_tool_calls", wishes.parallel_tool_calls


def _tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": Raw(tool.parameters.encode()),
        "strict": tool.strict,
    }
    told = {name: value for name, value in function.items() if value is not None}
    return {"type": "function", "function": told}


def _choice(choice: str | None) -> Any:
    if choice is None or not choice.startswith("="):
        return choice
    return {"type": "function", "function": {"name": choice[1:]}}
