"""What a client wishes for one response: tools, format and the like."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from domain.model.wishes import Tool, Wishes
from entrypoints.http.openai.members import lacking, member, one_of, refuse, required, wrong

_LEAST_TOKENS: Final = 16
_CHOICES: Final = frozenset({"auto", "none", "required"})
_NO_PARAMETERS: Final = '{"type":"object","properties":{}}'


def given_wishes(body: Mapping[str, Any]) -> Wishes:
    """The wishes of a body.

    Raises:
        BadRequest: one of them is not understood, or this service cannot heed it.
    """
    tools = _tools(body)
    reasoning = member(body, "reasoning", dict, "an object") or {}
    refuse(reasoning, set(reasoning) & {"mode", "context"})
    text = member(body, "text", dict, "an object") or {}
    return Wishes(
        instructions=member(body, "instructions", str, "a string"),
        tools=tools,
        tool_choice=_choice(body.get("tool_choice"), tools),
        parallel_tool_calls=member(body, "parallel_tool_calls", bool, "true or false"),
        reply_tokens=_reply_tokens(body),
        temperature=_between(body, "temperature", 2),
        top_p=_between(body, "top_p", 1),
        effort=member(reasoning, "effort", str, "a string", "reasoning."),
        verbosity=member(text, "verbosity", str, "a string", "text."),
        format=_format(member(text, "format", dict, "an object", "text.") or {}),
    )


def _tools(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    given: Sequence[Any] = member(body, "tools", list, "a list") or []
    return tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(given))


def _tool(tool: Any, path: str) -> Tool:
    if not isinstance(tool, dict):
        wrong(path, "an object")
    if tool.get("type") != "function":
        lacking(f"{path}.type", "Only function tools are.")
    within = f"{path}."
    parameters = member(tool, "parameters", dict, "an object", within)
    schema = msgspec.json.encode(parameters).decode() if parameters else _NO_PARAMETERS
    return Tool(
        name=required(tool, "name", str, "a string", within),
        description=member(tool, "description", str, "a string", within),
        parameters=schema,
        strict=member(tool, "strict", bool, "true or false", within),
    )


def _choice(choice: Any, tools: Sequence[Tool]) -> str | None:
    if choice is None or (isinstance(choice, str) and choice in _CHOICES):
        return choice
    if not isinstance(choice, dict) or choice.get("type") != "function":
        lacking("tool_choice", "Known: auto, none, required, or one function.")
    name = required(choice, "name", str, "a string", "tool_choice.")
    if name not in {tool.name for tool in tools}:
        wrong("tool_choice.name", "the name of one of the tools")
    return f"={name}"


def _reply_tokens(body: Mapping[str, Any]) -> int | None:
    tokens = member(body, "max_output_tokens", int, "a whole number")
    if tokens is not None and tokens < _LEAST_TOKENS:
        wrong("max_output_tokens", f"at least {_LEAST_TOKENS}")
    return tokens


def _between(body: Mapping[str, Any], name: str, most: float) -> float | None:
    number = member(body, name, float, "a number")
    if number is not None and not 0 <= number <= most:
        wrong(name, f"a number from 0 to {most:g}")
    return number


def _format(wanted: Mapping[str, Any]) -> str | None:
    kind = one_of(wanted, "type", {"text", "json_object", "json_schema"}, "text.format.")
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return '{"type":"json_object"}'
    schema = {
        "name": required(wanted, "name", str, "a string", "text.format."),
        "schema": required(wanted, "schema", dict, "an object", "text.format."),
        "strict": member(wanted, "strict", bool, "true or false", "text.format."),
        "description": member(wanted, "description", str, "a string", "text.format."),
    }
    told = {name: value for name, value in schema.items() if value is not None}
    return msgspec.json.encode({"type": "json_schema", "json_schema": told}).decode()
