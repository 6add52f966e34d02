"""The calls in a reply that we run ourselves, and their results."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeGuard

from domain.model.message import Part, ToolCallPart, ToolResultPart

INTERRUPTED_OUTPUT: Final = '"The call was interrupted; it is unknown whether it had an effect."'
"""What the model is told about a call whose result was lost, as JSON text."""


def is_server_call(part: Part) -> TypeGuard[ToolCallPart]:
    """Whether the part is the call of a tool that we run."""
    return isinstance(part, ToolCallPart) and part.server is not None


def call_results(parts: Sequence[Part]) -> Mapping[int, int]:
    """The index of the result of each call, by the index of the call.

    A call without a result has no entry. Some models use the same call ids again in each step. A
    result then belongs to the newest call before it.
    """
    results: dict[int, int] = {}
    newest: dict[str, int] = {}
    for index, part in enumerate(parts):
        if isinstance(part, ToolCallPart):
            newest[part.call_id] = index
        elif isinstance(part, ToolResultPart) and part.call_id in newest:
            results[newest.pop(part.call_id)] = index
    return results


def server_results(parts: Sequence[Part]) -> Mapping[int, int]:
    """As ``call_results``, but only of the tools that we ran."""
    results = call_results(parts)
    return {call: result for call, result in results.items() if is_server_call(parts[call])}


def with_all_results(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, with a failed result at their end for each call that we ran and lost."""
    answered = server_results(parts)
    lost = [
        lost_result(part)
        for index, part in enumerate(parts)
        if is_server_call(part) and index not in answered
    ]
    return (*parts, *lost)


def lost_result(call: ToolCallPart) -> ToolResultPart:
    """The result of a call that was interrupted."""
    return ToolResultPart(call_id=call.call_id, output=INTERRUPTED_OUTPUT, failed=True)
