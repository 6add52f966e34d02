"""What a reply held before a turn went on with it, as chunks for a page that was reloaded.

Whoever resumes forgets the message it shows, so the chunks tell all of it again.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from domain.model.message import (
    Part,
    ReasoningPart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from entrypoints.http.sse import event

_NEXT_STEP: Final = ({"type": "finish-step"}, {"type": "start-step"})


def earlier_chunks(parts: Sequence[Part]) -> bytes:
    """The chunks of these parts; nothing when there are none."""
    told = [chunk for number, part in enumerate(parts, 1) for chunk in _chunks(part, f"e{number}")]
    return b"".join(map(event, (*told, *_NEXT_STEP))) if told else b""


def _chunks(part: Part, part_id: str) -> Iterator[dict[str, Any]]:
    match part:
        case TextPart(text):
            yield from _whole("text", part_id, text)
        case ReasoningPart(text):
            yield from _whole("reasoning", part_id, text)
        case ToolCallPart():
            named = {"toolCallId": part.call_id, "toolName": part.name}
            yield {"type": "tool-input-start", **named}
            # Not as available: that would have the client run the tool once more.
            delta = {"toolCallId": part.call_id, "inputTextDelta": part.arguments or "{}"}
            yield {"type": "tool-input-delta", **delta}
        case ToolResultPart():
            yield _result(part)
        case StepMark():
            yield from _NEXT_STEP
        case _:
            return


def _whole(kind: str, part_id: str, text: str) -> Iterator[dict[str, Any]]:
    yield {"type": f"{kind}-start", "id": part_id}
    yield {"type": f"{kind}-delta", "id": part_id, "delta": text}
    yield {"type": f"{kind}-end", "id": part_id}


def _result(part: ToolResultPart) -> dict[str, Any]:
    output = msgspec.json.decode(part.output)
    if part.failed:
        why = output if isinstance(output, str) else part.output
        return {"type": "tool-output-error", "toolCallId": part.call_id, "errorText": why}
    return {"type": "tool-output-available", "toolCallId": part.call_id, "output": output}
