"""A turn as the events of a streamed response.

Source: the OpenAI API reference, "Streaming events". No ``id:`` lines and no events without data:
OpenAI's own client breaks on both.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from domain.model.identifiers import MessageId
from domain.model.message import Part, TextPart, ToolCallPart, ToolResultPart
from domain.model.piece import (
    ModelPiece,
    NumberedPiece,
    Piece,
    ReasoningPiece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
    assemble_parts,
)
from domain.model.turn import TurnEnd
from domain.service.server_calls import lost_result
from entrypoints.http.openai.citations import Citations
from entrypoints.http.openai.items import (
    mcp_call,
    output_text,
    part_item,
    summary_text,
    turn_of_response,
    with_encrypted,
)
from entrypoints.http.openai.responses import ResponseSkeleton, item_status, status_of
from entrypoints.http.sse import DONE, event, padded_event

_ENDINGS: Final = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "cancelled": "response.incomplete",
    "failed": "response.failed",
}


@define
class _Run:
    """Pieces that together form one item of the response.

    Attributes:
        index: the index of the item in the response.
        part_index: the index of the part in the reply.
        annotations: those of a text; there are none before it is complete.
        result: that of a tool which the service runs; None while it runs.
        is_open: False once its last event has been sent.
    """

    index: int
    part_index: int
    item_id: str = ""
    pieces: list[ModelPiece] = field(factory=list)
    annotations: list[dict[str, Any]] = field(factory=list)
    result: ToolResultPart | None = None
    is_open: bool = True

    @property
    def part(self) -> Part:
        [part] = assemble_parts(self.pieces)
        return part

    @property
    def server_call(self) -> ToolCallPart | None:
        """The call, if the service runs its tool."""
        part = self.part
        return part if isinstance(part, ToolCallPart) and part.server is not None else None


class ResponseEvents:
    """Renders the events of one response. Call ``piece`` for every piece, in order."""

    def __init__(
        self,
        skeleton: ResponseSkeleton,
        reply_id: MessageId,
        *,
        obfuscated: bool = True,
        after: int = -1,
        part_indexes: Sequence[int] = (),
    ) -> None:
        """Render the events of the response with this ``skeleton``.

        Args:
            skeleton: the members of the response that do not depend on its reply.
            reply_id: the id of the reply, from which the ids of its items are made.
            obfuscated: whether the deltas are padded.
            after: the number of the last event that is left out. The end is never left out.
            part_indexes: the index in the stored reply of each part that the pieces form, if these
                indexes are not consecutive.
        """
        self._after = after
        self._part_indexes = part_indexes
        self._skeleton = skeleton
        self._session_id, _ = turn_of_response(skeleton.id)
        self._reply_id = reply_id
        self._obfuscated = obfuscated
        self._runs: list[_Run] = []
        self._calls: dict[str, _Run] = {}
        self._newest: _Run | None = None
        self._open_text: _Run | None = None
        self._part_count = 0
        self._citations = Citations()
        self._next_number = 0

    def start(self) -> bytes:
        """The events before the first piece."""
        response = self._skeleton.document("in_progress")
        created = self._event("response.created", response=response)
        return created + self._event("response.in_progress", response=response)

    def piece(self, numbered: NumberedPiece) -> bytes:
        """The events of one piece."""
        piece = numbered.piece
        if isinstance(piece, StatePiece):
            return b""
        if not isinstance(piece, ModelPiece):
            return self._close_text() + self._without_item(piece)
        run = self._run_of(piece)
        if run is not None:
            run.pieces.append(piece)
            return self._delta(run, piece)
        return self._close_text() + self._begin(piece)

    def end(self, end: TurnEnd, at: datetime) -> bytes:
        """The events after the last piece; a stream without them is incomplete."""
        status = item_status(end)
        if any(run.is_open and run.server_call is not None for run in self._runs):
            # The results that are lost follow what was written last.
            self._newest = None
        closed = b"".join(self._close(run, status) for run in self._runs if run.is_open)
        output = [self._item(run, status) for run in self._runs]
        response = self._skeleton.ended(end, output, at)
        self._next_number = max(self._next_number, self._after + 1)
        return closed + self._event(_ENDINGS[status_of(end)], response=response) + DONE

    def _without_item(self, piece: SourcePiece | StepPiece | ToolResultPiece) -> bytes:
        """The events of a piece that is a part of the reply, but not an item of its own."""
        self._next_part_index()
        match piece:
            case SourcePiece(source):
                self._citations.add(source)
            case StepPiece():
                self._calls.clear()
            case ToolResultPiece(result):
                run = self._calls.get(result.call_id)
                if run is not None and run.is_open and run.server_call is not None:
                    run.result = result
                    return self._close(run, "completed")
        return b""

    def _begin(self, piece: ModelPiece) -> bytes:
        """The events of a piece that begins an item."""
        run = _Run(index=len(self._runs), part_index=self._next_part_index(), pieces=[piece])
        self._runs.append(run)
        self._newest = run
        if isinstance(piece, ToolCallPiece):
            self._calls[piece.call_id] = run
        else:
            self._open_text = run
        return self._open(run) + self._delta(run, piece)

    def _next_part_index(self) -> int:
        number = self._part_count
        self._part_count += 1
        return self._part_indexes[number] if self._part_indexes else number

    def _run_of(self, piece: ModelPiece) -> _Run | None:
        """The run that ``piece`` continues, as in ``assemble_parts``; None if it begins one."""
        # The arguments of several calls may be interleaved.
        if isinstance(piece, ToolCallPiece):
            return self._calls.get(piece.call_id)
        newest = self._newest
        return newest if newest and type(newest.pieces[0]) is type(piece) else None

    def _item(self, run: _Run, status: str) -> dict[str, Any]:
        place = (self._session_id, self._reply_id, run.part_index)
        if run.server_call is not None:
            return mcp_call(*place, run.server_call, run.result)
        item = part_item(*place, run.part, status)
        if item is None:
            raise AssertionError("every piece of a model belongs to an item")
        if run.annotations:
            item["content"][0]["annotations"] = run.annotations
        return with_encrypted(item) if self._skeleton.encrypted else item

    def _open(self, run: _Run) -> bytes:
        item = self._item(run, "in_progress")
        run.item_id = item["id"]
        empty = {"content": [], "summary": [], "arguments": ""}
        item |= {name: value for name, value in empty.items() if name in item}
        added = self._event("response.output_item.added", output_index=run.index, item=item)
        match run.pieces[0]:
            case TextPiece():
                kind = "response.content_part.added"
                return added + self._text_event(run, kind, part=output_text(""))
            case ReasoningPiece():
                kind = "response.reasoning_summary_part.added"
                return added + self._reasoning_event(run, kind, part=summary_text(""))
            case ToolCallPiece() if run.server_call is not None:
                return added + self._item_event(run, "response.mcp_call.in_progress")
            case _:
                return added

    def _delta(self, run: _Run, piece: Piece) -> bytes:
        match piece:
            case TextPiece(text):
                kind = "response.output_text.delta"
                return self._text_event(run, kind, delta=text, logprobs=[])
            case ReasoningPiece(text):
                kind = "response.reasoning_summary_text.delta"
                return self._reasoning_event(run, kind, delta=text)
            case ToolCallPiece() if piece.arguments:
                call = "function_call" if piece.server is None else "mcp_call"
                kind = f"response.{call}_arguments.delta"
                return self._item_event(run, kind, delta=piece.arguments)
            case _:
                return b""

    def _close_text(self) -> bytes:
        run, self._open_text, self._newest = self._open_text, None, None
        return b"" if run is None else self._close(run, "completed")

    def _close(self, run: _Run, status: str) -> bytes:
        run.is_open = False
        part = run.part
        if isinstance(part, TextPart):
            is_last = run is self._newest
            run.annotations = self._citations.annotations(part.text, ends_reply=is_last)
        elif isinstance(part, ToolCallPart) and part.server is not None and run.result is None:
            run.result = lost_result(part)
        item = self._item(run, status)
        done = b"".join(self._done(run, item))
        return done + self._event("response.output_item.done", output_index=run.index, item=item)

    def _done(self, run: _Run, item: dict[str, Any]) -> Iterator[bytes]:
        match run.pieces[0]:
            case TextPiece():
                [part] = item["content"]
                kind = "response.output_text.annotation.added"
                for index, annotation in enumerate(part["annotations"]):
                    added = {"annotation_index": index, "annotation": annotation}
                    yield self._text_event(run, kind, **added)
                kind = "response.output_text.done"
                yield self._text_event(run, kind, text=part["text"], logprobs=[])
                yield self._text_event(run, "response.content_part.done", part=part)
            case ReasoningPiece():
                [part] = item["summary"]
                kind = "response.reasoning_summary_text.done"
                yield self._reasoning_event(run, kind, text=part["text"])
                yield self._reasoning_event(run, "response.reasoning_summary_part.done", part=part)
            case ToolCallPiece() if run.server_call is not None:
                arguments, outcome = item["arguments"], item["status"]
                kind = "response.mcp_call_arguments.done"
                yield self._item_event(run, kind, arguments=arguments)
                yield self._item_event(run, f"response.mcp_call.{outcome}")
            case ToolCallPiece():
                call = {"name": item["name"], "arguments": item["arguments"]}
                yield self._item_event(run, "response.function_call_arguments.done", **call)

    def _text_event(self, run: _Run, kind: str, **members: Any) -> bytes:
        return self._item_event(run, kind, content_index=0, **members)

    def _reasoning_event(self, run: _Run, kind: str, **members: Any) -> bytes:
        return self._item_event(run, kind, summary_index=0, **members)

    def _item_event(self, run: _Run, kind: str, **members: Any) -> bytes:
        return self._event(kind, item_id=run.item_id, output_index=run.index, **members)

    def _event(self, kind: str, **members: Any) -> bytes:
        number = self._next_number
        self._next_number += 1
        if number <= self._after:
            return b""
        document = {"type": kind, "sequence_number": number, **members}
        is_padded = self._obfuscated and kind.endswith(".delta")
        return (padded_event if is_padded else event)(document, name=kind)
