"""The calls in a reply that we run ourselves, and their results."""

from collections.abc import Mapping, Sequence
from typing import Final

from domain.model.message import Part, ToolCallPart, ToolResultPart

INTERRUPTED_OUTPUT: Final = '"The call was interrupted; it is unknown whether it had an effect."'
"""What the model is told about a call whose result was lost, as JSON text."""


def server_results(parts: Sequence[Part]) -> Mapping[int, int]:
    """The index of each result of a tool that we ran, by the index of its call.

    A call without a result has no entry. Some models use the same call ids again in each step. A
    result then belongs to the newest call before it.
    """
    results: dict[int, int] = {}
    newest: dict[str, int] = {}
    for index, part in enumerate(parts):
        if isinstance(part, ToolCallPart):
            newest[part.call_id] = index
        elif isinstance(part, ToolResultPart) and part.call_id in newest:
            call_index = newest.pop(part.call_id)
            call = parts[call_index]
            if isinstance(call, ToolCallPart) and call.server is not None:
                results[call_index] = index
    return results


def with_all_results(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, with a failed result at their end for each call that we ran and lost."""
    answered = server_results(parts)
    lost = [
        lost_result(part)
        for index, part in enumerate(parts)
        if isinstance(part, ToolCallPart) and part.server is not None and index not in answered
    ]
    return (*parts, *lost)


def lost_result(call: ToolCallPart) -> ToolResultPart:
    """The result of a call that was interrupted."""
    return ToolResultPart(call_id=call.call_id, output=INTERRUPTED_OUTPUT, failed=True)
