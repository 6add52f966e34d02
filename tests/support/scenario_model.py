"""A model server for the suites of clients: its replies show what it was sent.

It calls a tool if a message is about the weather, or if the request requires a call. It answers in
the schema that the request contains, and otherwise repeats all messages, each after its role.
"""

import json
from typing import Any

from tests.support.model_server import DONE, ModelResponse, a_reply, delta, finished, used

STRUCTURED = {"city": "Rome", "degrees": 21}


def scenario_reply(body: dict[str, Any]) -> ModelResponse:
    last = body["messages"][-1]
    if last["role"] == "tool":
        return a_reply(f"The tool says: {_text(last)}")
    if tool := _tool_to_call(body, _text(last)):
        return _tool_call(tool, len(body["messages"]), _text(last))
    if body.get("response_format", {}).get("type") in {"json_schema", "json_object"}:
        return a_reply(json.dumps(STRUCTURED))
    lines = [f"{message['role']}: {_text(message)}" for message in body["messages"]]
    return a_reply(*(f"{line}\n" for line in lines))


def _tool_to_call(body: dict[str, Any], text: str) -> dict[str, Any] | None:
    functions: list[dict[str, Any]] = [tool["function"] for tool in body.get("tools") or []]
    tools = {function["name"]: function for function in functions}
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        return tools[choice["function"]["name"]]
    if "sunny" in text and "final_answer" in tools:
        return tools["final_answer"]  # Some agents end with a call of this tool.
    is_called = choice == "required" or (choice == "auto" and "weather" in text)
    return next(iter(tools.values()), None) if is_called else None


def _tool_call(tool: dict[str, Any], number: int, text: str) -> ModelResponse:
    members = tool["parameters"]["properties"]
    values = {**STRUCTURED, "answer": f"The tool says: {text}"}
    arguments = {name: value for name, value in values.items() if name in members}
    function = {"name": tool["name"], "arguments": json.dumps(arguments)}
    call = {"index": 0, "id": f"call_{number}", "type": "function", "function": function}
    chunks = (delta(role="assistant", tool_calls=[call]), finished("tool_calls"), used(9, 2), DONE)
    return ModelResponse(chunks=chunks)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", f"<{part['type']}>") for part in content)
