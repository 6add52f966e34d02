"""A turn as the chunks of the AI SDK's UI message stream, version 1.

Only chunk types that its majors 5, 6 and 7 accept. The same log gives the same chunks to everybody
who follows, but for their random padding, so a page may resume anywhere.

What a reply held before a turn went on with it, as chunks for a page that was reloaded.

Whoever resumes forgets the message it shows, so the chunks tell all of it again.

The arguments of a tool call as JSON, as far as clients take them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from domain.model.identifiers import MessageId, TurnId
from domain.model.message import (
    Part,
    ReasoningPart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import NumberedPiece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Cursor, Outcome, TurnEnd
from entrypoints.http.documents import usage_answer
from entrypoints.http.problems import user_message
from entrypoints.http.sse import event, padded_event

NOT_JSON = "The model's arguments are not JSON."


def tool_input(arguments: str) -> Any:
    """What a model's arguments say; nothing written is an empty object.

    Raises:
        ValueError: they are no JSON, or of a kind that the parser of the AI SDK refuses, which
            would end the whole reply.
    """
    parsed = msgspec.json.decode(arguments or "{}")
    # Written anew, so that no name hides behind escapes.
    written = msgspec.json.encode(parsed)
    if b'"__proto__":' in written or (b'"constructor":{' in written and b'"prototype":' in written):
        raise ValueError("these names could change the client's objects")
    return parsed


class ReplyChunks:
    """Renders one turn, entry by entry, from its beginning."""

    def __init__(
        self, turn_id: TurnId, reply_id: MessageId, metadata: Mapping[str, object]
    ) -> None:
        """``metadata`` goes out with the first chunk."""
        self._turn_id = turn_id
        self._reply_id = reply_id
        self._metadata = metadata
        self._open: str | None = None
        self._opened = 0
        self._calls: dict[str, tuple[str, list[str]]] = {}

    def beginning(self) -> bytes:
        """What stands before the first piece."""
        start = {
            "type": "start",
            "messageId": self._reply_id,
            "messageMetadata": dict(self._metadata),
        }
        cursor = str(Cursor(self._turn_id, 0))
        return event(start) + event({"type": "start-step"}, cursor=cursor)

    def of(self, numbered: NumberedPiece) -> bytes:
        """The chunks of one piece; only the last carries the cursor, so none is lost in a cut."""
        cursor = str(Cursor(self._turn_id, numbered.number))
        match numbered.piece:
            case TextPiece(text):
                return self._delta("text", text, cursor)
            case ReasoningPiece(text):
                return self._delta("reasoning", text, cursor)
            case ToolCallPiece() as call:
                return self._call(call, cursor)

    def ending(self, end: TurnEnd) -> bytes:
        """What stands after the last piece; without it a stream is not whole."""
        closed = b"".join((self._closed(), *map(event, self._whole_calls())))
        if not end.is_complete:
            code = end.error or "internal_error"
            return closed + event({"type": "error", "errorText": user_message(code), "code": code})
        if end.outcome is Outcome.FINISHED:
            return closed + event({"type": "finish-step"}) + event(_finish(end))
        aborted = {"type": "message-metadata", "messageMetadata": _aborted(end)}
        return closed + event(aborted) + event({"type": "abort"})

    def _delta(self, kind: str, text: str, cursor: str) -> bytes:
        before = b"" if self._open == kind else self._closed() + self._begun(kind)
        chunk = {"type": f"{kind}-delta", "id": self._part_id, "delta": text}
        return before + padded_event(chunk, cursor=cursor)

    @property
    def _part_id(self) -> str:
        return f"p{self._opened}"

    def _begun(self, kind: str) -> bytes:
        self._open = kind
        self._opened += 1
        return event({"type": f"{kind}-start", "id": self._part_id})

    def _closed(self) -> bytes:
        if self._open is None:
            return b""
        end = {"type": f"{self._open}-end", "id": self._part_id}
        self._open = None
        return event(end)

    def _call(self, call: ToolCallPiece, cursor: str) -> bytes:
        before = self._closed()
        if call.call_id not in self._calls:
            self._calls[call.call_id] = (call.name, [])
            start = {"type": "tool-input-start", "toolCallId": call.call_id, "toolName": call.name}
            before += event(start)
        self._calls[call.call_id][1].append(call.arguments)
        delta = {"toolCallId": call.call_id, "inputTextDelta": call.arguments}
        return before + padded_event({"type": "tool-input-delta", **delta}, cursor=cursor)

    def _whole_calls(self) -> Iterator[dict[str, Any]]:
        for call_id, (name, fragments) in self._calls.items():
            named = {"toolCallId": call_id, "toolName": name}
            arguments = "".join(fragments)
            try:
                parsed = tool_input(arguments)
                yield {"type": "tool-input-available", **named, "input": parsed}
            except ValueError:
                broken = {"input": arguments, "errorText": NOT_JSON}
                yield {"type": "tool-input-error", **named, **broken}


def _finish(end: TurnEnd) -> dict[str, Any]:
    reason = {"finishReason": end.finish_reason.value} if end.finish_reason else {}
    usage = usage_answer(end.usage)
    metadata = {**({"usage": usage} if usage else {}), **_expires(end.expires_at)}
    return {"type": "finish", **reason, **({"messageMetadata": metadata} if metadata else {})}


def _aborted(end: TurnEnd) -> dict[str, Any]:
    return {"aborted": True, **_expires(end.expires_at)}


def _expires(expires_at: datetime | None) -> dict[str, Any]:
    return {} if expires_at is None else {"expiresAt": expires_at}


_NEXT_STEP: Final = ({"type": "finish-step"}, {"type": "start-step"})


def prior_steps(parts: Sequence[Part]) -> bytes:
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
