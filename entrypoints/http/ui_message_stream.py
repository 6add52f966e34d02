"""A turn as chunks of the AI SDK's UI message stream, version 1.

Only chunk types that AI SDK 5, 6 and 7 all know are sent. The same log is always rendered as the
same chunks, except for random padding, so a page can resume after any chunk.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from attrs import define, field

from domain.model.identifiers import MessageId, TurnId
from domain.model.message import (
    Part,
    ReasoningPart,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import (
    NumberedPiece,
    ReasoningPiece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
)
from domain.model.turn import Cursor, Outcome, TurnEnd
from domain.service.server_calls import lost_result, server_results
from entrypoints.http.documents import finish_reason_member, message_counts, usage_document
from entrypoints.http.problems import user_message
from entrypoints.http.sse import event, padded_event
from entrypoints.http.tool_calls import (
    call_complete,
    call_delta,
    call_result,
    call_start,
    tool_input,
)

_LONGEST_EARLY_INPUT: Final = 4_096
"""Longer arguments of a tool that we run are complete only with its result. Otherwise a model that
writes many brackets would have them parsed again and again."""
_JOINED: Final = "p0"
"""The id of the part with the text of a reply that was cut, which its continuation joins."""
_NEXT_STEP: Final = ({"type": "finish-step"}, {"type": "start-step"})


@define
class _Call:
    """A tool call whose arguments are being written."""

    first: ToolCallPiece
    fragments: list[str] = field(factory=list)
    length: int = 0

    def add(self, fragment: str) -> None:
        """Take the next part of the arguments."""
        self.fragments.append(fragment)
        self.length += len(fragment)

    @property
    def part(self) -> ToolCallPart:
        """The call as far as it is written."""
        arguments, first = "".join(self.fragments), self.first
        return ToolCallPart(
            call_id=first.call_id, name=first.name, arguments=arguments, server=first.server
        )

    @property
    def is_about_to_run(self) -> bool:
        """Whether we run it, and its arguments are complete: nothing can follow a JSON object."""
        if self.first.server is None or self.length > _LONGEST_EARLY_INPUT:
            return False
        if not self.fragments[-1].rstrip().endswith("}"):
            return False
        try:
            return tool_input("".join(self.fragments)) is not None
        except ValueError:
            return False


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
        self._calls: dict[str, _Call] = {}
        self.has_begun = False
        """Whether a piece was rendered."""
        self.sources: list[SourcePart] = []
        """The sources among the pieces."""

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
        results_of_ours = set(server_results(parts).values())
        chunks: list[dict[str, Any]] = []
        for number, part in enumerate(parts):
            if number == place and isinstance(part, TextPart):
                chunks += islice(_complete_part("text", _JOINED, part.text), 2)
                self._is_joined_text_open = True
            elif isinstance(part, ToolResultPart):
                chunks.append(call_result(part, run_by_us=number in results_of_ours))
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
        self.has_begun = True
        match numbered.piece:
            case TextPiece(text) if self._joins_text:
                return self._joined_text(text, cursor)
            case TextPiece(text):
                return self._delta("text", text, cursor)
            case ReasoningPiece(text):
                return self._delta("reasoning", text, cursor)
            case ToolCallPiece() as call:
                return self._call(call, cursor)
            case StatePiece():
                return b""
            case piece:
                return self._close_part() + self._whole(piece, cursor)

    def end(self, end: TurnEnd) -> bytes:
        """The chunks after the last piece; a stream without them is incomplete."""
        calls = self._calls_at_end(end.outcome)
        closing = self._close_part() + self._close_joined_text() + b"".join(map(event, calls))
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

    def _close_joined_text(self) -> bytes:
        if not self._is_joined_text_open:
            return b""
        self._is_joined_text_open = False
        return event({"type": "text-end", "id": _JOINED})

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

    def _call(self, piece: ToolCallPiece, cursor: str) -> bytes:
        before = self._close_part()
        call = self._calls.get(piece.call_id)
        if call is None:
            call = self._calls[piece.call_id] = _Call(piece)
            before += event(call_start(call.part))
        call.add(piece.arguments)
        delta = call_delta(piece.call_id, piece.arguments)
        if not call.is_about_to_run:
            return before + padded_event(delta, cursor=cursor)
        return before + padded_event(delta) + padded_event(call_complete(call.part), cursor=cursor)

    def _whole(self, piece: ToolResultPiece | SourcePiece | StepPiece, cursor: str) -> bytes:
        """The chunks of a piece that is a part of its own, or separates steps."""
        match piece:
            case ToolResultPiece(result):
                return self._result(result, cursor)
            case SourcePiece(source):
                self.sources.append(source)
                return padded_event(source_chunk(source), cursor=cursor)
            case StepPiece():
                self._joins_text = False
                ended, begun = _NEXT_STEP
                return self._close_joined_text() + event(ended) + event(begun, cursor=cursor)

    def _result(self, result: ToolResultPart, cursor: str) -> bytes:
        call = self._calls.pop(result.call_id, None)
        run_by_us = call is not None and call.first.server is not None
        before = b""
        # A call of the client is left incomplete, so that it does not run a tool with a result.
        if call is not None and run_by_us and not call.is_about_to_run:
            before = padded_event(call_complete(call.part))
        return before + padded_event(call_result(result, run_by_us=run_by_us), cursor=cursor)

    def _calls_at_end(self, outcome: Outcome) -> Iterator[dict[str, Any]]:
        """The chunks for the calls without a result.

        The client runs its tools only if the reply is finished. A tool that we ran may have
        had an effect.
        """
        for call in self._calls.values():
            if call.first.server is not None:
                yield call_complete(call.part)
                yield call_result(lost_result(call.part), run_by_us=True)
            elif outcome is Outcome.FINISHED:
                yield call_complete(call.part)


def source_chunk(source: SourcePart) -> dict[str, Any]:
    """The chunk for a source, which is also the part of the AI SDK's message."""
    excerpt = {} if source.excerpt is None else {"excerpt": source.excerpt}
    ours = {"providerMetadata": {"privity": excerpt}} if excerpt else {}
    names = {"sourceId": source.id, "title": source.title}
    if source.url is None:
        return {"type": "source-document", **names, "mediaType": "text/plain", **ours}
    return {"type": "source-url", **names, "url": source.url, **ours}


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
            yield call_start(part)
            yield call_delta(part.call_id, part.arguments or "{}")
            # Without the complete input, the client does not run its own tool again.
            if part.server is not None:
                yield call_complete(part)
        case SourcePart():
            yield source_chunk(part)
        case StepMark():
            yield from _NEXT_STEP
        case _:
            return


def _complete_part(kind: str, part_id: str, text: str) -> Iterator[dict[str, Any]]:
    yield {"type": f"{kind}-start", "id": part_id}
    yield {"type": f"{kind}-delta", "id": part_id, "delta": text}
    yield {"type": f"{kind}-end", "id": part_id}
