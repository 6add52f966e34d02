"""A turn as chunks of the AI SDK's UI message stream, version 1.

Only chunk types that AI SDK 5, 6 and 7 all know are sent. The same log is always rendered as the
same chunks, except for random padding, so a page can resume after any chunk.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Raw

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
from domain.service.user_input import nests_too_deeply
from entrypoints.http.documents import finish_reason_member, message_counts, usage_document
from entrypoints.http.problems import user_message
from entrypoints.http.sse import event, padded_event

NOT_JSON: Final = "The model's arguments are not JSON."
_JOINED: Final = "p0"
"""The id of the part with the text of a reply that was cut, which its continuation joins."""
_NEXT_STEP: Final = ({"type": "finish-step"}, {"type": "start-step"})


class ReplyChunks:
    """Renders one turn as chunks. Call ``piece`` for every piece, in order.

    If the turn continues a reply that was cut, all of its text belongs to one part, which stays
    open to the end.
    """

    def __init__(
        self,
        turn_id: TurnId,
        reply_id: MessageId,
        metadata: Mapping[str, object],
        *,
        joins_text: bool = False,
    ) -> None:
        """The chunks of a turn.

        Args:
            turn_id: the turn.
            reply_id: the message that it writes.
            metadata: sent with the first chunk.
            joins_text: whether the turn continues a reply that was cut.
        """
        self._turn_id = turn_id
        self._reply_id = reply_id
        self._metadata = metadata
        self._joins_text = joins_text
        self._is_joined_text_open = False
        self._open_kind: str | None = None
        self._parts = 0
        self._calls: dict[str, tuple[str, list[str]]] = {}

    def start(self, prior: Sequence[Part] = ()) -> bytes:
        """The chunks before the first piece.

        ``prior`` are the parts that the reply had before this turn continued it, for a client that
        does not have them. Their last text stays open if this turn adds to it. Only the last chunk
        carries a cursor, so that no client resumes without these parts.
        """
        start: dict[str, Any] = {
            "type": "start",
            "messageId": self._reply_id,
            "messageMetadata": dict(self._metadata),
        }
        chunks = [start, {"type": "start-step"}, *self._prior_chunks(prior)]
        last = event(chunks.pop(), cursor=str(Cursor(self._turn_id, 0)))
        return b"".join(map(event, chunks)) + last

    def _prior_chunks(self, parts: Sequence[Part]) -> Sequence[dict[str, Any]]:
        place = _last_text(parts) if self._joins_text else None
        chunks: list[dict[str, Any]] = []
        for number, part in enumerate(parts):
            if number == place and isinstance(part, TextPart):
                chunks += islice(_complete_part("text", _JOINED, part.text), 2)
                self._is_joined_text_open = True
            else:
                chunks += _part_chunks(part, f"e{number + 1}")
        if chunks and not self._joins_text:
            chunks += _NEXT_STEP
        return chunks

    def piece(self, numbered: NumberedPiece) -> bytes:
        """The chunks of one piece.

        Only the last chunk carries the piece's cursor, so a client that received only some of them
        resumes before the piece.
        """
        cursor = str(Cursor(self._turn_id, numbered.number))
        match numbered.piece:
            case TextPiece(text) if self._joins_text:
                return self._joined_text(text, cursor)
            case TextPiece(text):
                return self._delta("text", text, cursor)
            case ReasoningPiece(text):
                return self._delta("reasoning", text, cursor)
            case ToolCallPiece() as call:
                return self._call(call, cursor)
            case _:
                return b""

    def end(self, end: TurnEnd) -> bytes:
        """The chunks after the last piece; a stream without them is incomplete."""
        joined = event({"type": "text-end", "id": _JOINED}) if self._is_joined_text_open else b""
        closing = b"".join((self._close_part(), joined, *map(event, self._complete_calls())))
        if not end.is_complete:
            return closing + error_chunk(end.error or "internal_error")
        if end.outcome is Outcome.FINISHED:
            return closing + event({"type": "finish-step"}) + event(_finish(end))
        metadata = {"aborted": True, **_expiry(end.expires_at)}
        aborted = {"type": "message-metadata", "messageMetadata": metadata}
        return closing + event(aborted) + event({"type": "abort"})

    def _delta(self, kind: str, text: str, cursor: str) -> bytes:
        before = b""
        if self._open_kind != kind:
            before = self._close_part() + self._open_part(kind)
        chunk = {"type": f"{kind}-delta", "id": self._part_id, "delta": text}
        return before + padded_event(chunk, cursor=cursor)

    def _joined_text(self, text: str, cursor: str) -> bytes:
        before = self._close_part()
        if not self._is_joined_text_open:
            self._is_joined_text_open = True
            before += event({"type": "text-start", "id": _JOINED})
        chunk = {"type": "text-delta", "id": _JOINED, "delta": text}
        return before + padded_event(chunk, cursor=cursor)

    @property
    def _part_id(self) -> str:
        return f"p{self._parts}"

    def _open_part(self, kind: str) -> bytes:
        self._open_kind = kind
        self._parts += 1
        return event({"type": f"{kind}-start", "id": self._part_id})

    def _close_part(self) -> bytes:
        if self._open_kind is None:
            return b""
        chunk = {"type": f"{self._open_kind}-end", "id": self._part_id}
        self._open_kind = None
        return event(chunk)

    def _call(self, call: ToolCallPiece, cursor: str) -> bytes:
        before = self._close_part()
        if call.call_id not in self._calls:
            self._calls[call.call_id] = (call.name, [])
            before += event(_call_start(call.call_id, call.name))
        self._calls[call.call_id][1].append(call.arguments)
        return before + padded_event(_call_delta(call.call_id, call.arguments), cursor=cursor)

    def _complete_calls(self) -> Iterator[dict[str, Any]]:
        for call_id, (name, fragments) in self._calls.items():
            call = {"toolCallId": call_id, "toolName": name}
            arguments = "".join(fragments)
            try:
                yield {"type": "tool-input-available", **call, "input": tool_input(arguments)}
            except ValueError:
                error = {"input": arguments, "errorText": NOT_JSON}
                yield {"type": "tool-input-error", **call, **error}


def error_chunk(code: str) -> bytes:
    """The chunk that reports a failure."""
    return event({"type": "error", "errorText": user_message(code), "code": code})


def _finish(end: TurnEnd) -> dict[str, Any]:
    reason = finish_reason_member(end.finish_reason)
    usage = usage_document(end.usage)
    metadata = {
        **reason,
        **({"usage": usage} if usage else {}),
        **message_counts(end.prompt_report),
        **_expiry(end.expires_at),
    }
    return {"type": "finish", **reason, **({"messageMetadata": metadata} if metadata else {})}


def _expiry(expires_at: datetime | None) -> dict[str, Any]:
    return {} if expires_at is None else {"expiresAt": expires_at}


def _last_text(parts: Sequence[Part]) -> int | None:
    places = [place for place, part in enumerate(parts) if isinstance(part, TextPart)]
    return places[-1] if places else None


def _part_chunks(part: Part, part_id: str) -> Iterator[dict[str, Any]]:
    match part:
        case TextPart(text):
            yield from _complete_part("text", part_id, text)
        case ReasoningPart(text):
            yield from _complete_part("reasoning", part_id, text)
        case ToolCallPart():
            yield _call_start(part.call_id, part.name)
            # No tool-input-available: the client would run the tool again.
            yield _call_delta(part.call_id, part.arguments or "{}")
        case ToolResultPart():
            yield _result(part)
        case StepMark():
            yield from _NEXT_STEP
        case _:
            return


def _complete_part(kind: str, part_id: str, text: str) -> Iterator[dict[str, Any]]:
    yield {"type": f"{kind}-start", "id": part_id}
    yield {"type": f"{kind}-delta", "id": part_id, "delta": text}
    yield {"type": f"{kind}-end", "id": part_id}


def _call_start(call_id: str, name: str) -> dict[str, Any]:
    return {"type": "tool-input-start", "toolCallId": call_id, "toolName": name}


def _call_delta(call_id: str, arguments: str) -> dict[str, Any]:
    return {"type": "tool-input-delta", "toolCallId": call_id, "inputTextDelta": arguments}


def _result(part: ToolResultPart) -> dict[str, Any]:
    if part.failed:
        error = tool_error_text(part)
        return {"type": "tool-output-error", "toolCallId": part.call_id, "errorText": error}
    output = Raw(part.output.encode())
    return {"type": "tool-output-available", "toolCallId": part.call_id, "output": output}


def tool_input(arguments: str) -> Any:
    """The parsed arguments of a tool call; an empty object if there are none.

    Raises:
        ValueError: they are not JSON, are nested too deeply, or contain names for which the AI
            SDK's parser rejects the whole reply.
    """
    if nests_too_deeply(arguments.encode()):
        raise ValueError("these arguments are nested too deeply")
    parsed = msgspec.json.decode(arguments or "{}")
    # Encoded again, so that escapes cannot hide a name.
    encoded = msgspec.json.encode(parsed)
    if b'"__proto__":' in encoded or (b'"constructor":{' in encoded and b'"prototype":' in encoded):
        raise ValueError("these names could modify the prototypes of the client's objects")
    return parsed


def tool_error_text(result: ToolResultPart) -> str:
    """The output of a failed tool as text: a JSON string is decoded, other JSON stays as it is."""
    is_string = result.output.startswith('"')
    return str(msgspec.json.decode(result.output)) if is_string else result.output
