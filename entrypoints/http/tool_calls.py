"""Tool calls and their results, as the clients of ``/api/chat`` receive and send them.

A tool that we run is marked as executed by the provider, and as one that the client does not know:
the AI SDK then neither runs it nor waits for its result.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from domain.model.message import ToolCallPart, ToolResultPart
from domain.service.tool_answers import tool_result
from domain.service.user_input import nests_too_deeply
from entrypoints.http.problems import BadRequest

NOT_JSON: Final = "The model's arguments are not JSON."
_RUN_BY_US: Final[Mapping[str, bool]] = MappingProxyType(
    {"providerExecuted": True, "dynamic": True}
)
_RUN_BY_CLIENT: Final[Mapping[str, bool]] = MappingProxyType({})


def call_start(call: ToolCallPart) -> dict[str, Any]:
    """The chunk with which a call begins."""
    return {"type": "tool-input-start", **_named(call)}


def call_delta(call_id: str, arguments: str) -> dict[str, Any]:
    """The chunk with more of a call's arguments."""
    return {"type": "tool-input-delta", "toolCallId": call_id, "inputTextDelta": arguments}


def call_complete(call: ToolCallPart) -> dict[str, Any]:
    """The chunk with all arguments of a call. A client runs a client tool when it gets this."""
    try:
        return {
            "type": "tool-input-available",
            **_named(call),
            "input": tool_input(call.arguments),
        }
    except ValueError:
        error = {"input": call.arguments, "errorText": NOT_JSON}
        return {"type": "tool-input-error", **_named(call), **error}


def call_result(result: ToolResultPart, *, run_by_us: bool) -> dict[str, Any]:
    """The chunk with the result of a call."""
    call = {"toolCallId": result.call_id, **(_RUN_BY_US if run_by_us else _RUN_BY_CLIENT)}
    if result.failed:
        return {"type": "tool-output-error", **call, "errorText": tool_error_text(result)}
    return {"type": "tool-output-available", **call, "output": tool_output(result)}


def _named(call: ToolCallPart) -> dict[str, Any]:
    whose = _RUN_BY_CLIENT if call.server is None else _RUN_BY_US
    return {"toolCallId": call.call_id, "toolName": call.name, **whose}


def tool_input(arguments: str) -> Any:
    """The parsed arguments of a tool call; an empty object if there are none.

    Raises:
        ValueError: they are not JSON, are nested too deeply, or contain names for which the AI
            SDK's parser rejects the whole reply.
    """
    if nests_too_deeply(arguments.encode()):
        raise ValueError("these arguments are nested too deeply")
    parsed = msgspec.json.decode(arguments or "{}")
    if _modifies_prototypes(parsed):
        raise ValueError("these names could modify the prototypes of the client's objects")
    return parsed


def tool_output(result: ToolResultPart) -> Raw | str:
    """The output of a tool; as a string if the AI SDK could not read the reply otherwise."""
    is_plain = result.output.startswith('"') or _is_plain(result.output)
    return Raw(result.output.encode()) if is_plain else result.output


def tool_error_text(result: ToolResultPart) -> str:
    """The output of a failed tool as text: a JSON string is decoded, other JSON stays as it is."""
    is_string = result.output.startswith('"')
    return str(msgspec.json.decode(result.output)) if is_string else result.output


def _is_plain(json: str) -> bool:
    """Whether no names in it make the AI SDK reject the reply.

    A number that is too large cannot be decoded, so it is not plain either.
    """
    try:
        return not _modifies_prototypes(msgspec.json.decode(json))
    except msgspec.DecodeError:
        return False


def _modifies_prototypes(parsed: Any) -> bool:
    # Encoded again, so that escapes cannot hide a name.
    encoded = msgspec.json.encode(parsed)
    return b'"__proto__":' in encoded or (
        b'"constructor":{' in encoded and b'"prototype":' in encoded
    )


def client_result(call_id: str, output: Raw) -> ToolResultPart:
    """What the client's tool returned.

    Raises:
        BadRequest: ``body_not_json``.
        InvalidInput: ``tool_result_too_long``.
    """
    return tool_result(call_id, compact_json(output))


def client_failure(call_id: str, error: str) -> ToolResultPart:
    """Why the client's tool failed.

    Raises:
        InvalidInput: ``tool_result_too_long``.
    """
    return tool_result(call_id, msgspec.json.encode(error).decode(), failed=True)


def compact_json(json: Raw) -> str:
    """The JSON text without white space, checked without building its objects in memory.

    Raises:
        BadRequest: ``body_not_json``.
    """
    try:
        return msgspec.json.format(bytes(json), indent=-1).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("body_not_json") from None
