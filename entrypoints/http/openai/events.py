"""A turn as the events of a streamed response.

Source: the OpenAI API reference, "Streaming events". No ``id:`` lines and no events without data:
OpenAI's own client breaks on both.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from domain.model.identifiers import MessageId
from domain.model.message import Part
from domain.model.piece import (
    NumberedPiece,
    Piece,
    ReasoningPiece,
    TextPiece,
    ToolCallPiece,
    assemble_parts,
)
from domain.model.turn import TurnEnd
from entrypoints.http.openai.items import output_text, part_item, summary
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
    """Neighbouring pieces of one kind: they become one item."""

    place: int
    name: str = ""
    pieces: list[Piece] = field(factory=list)
    is_open: bool = True

    @property
    def part(self) -> Part:
        [part] = assemble_parts(self.pieces)
        return part

    def takes(self, piece: Piece) -> bool:
        """Whether ``piece`` belongs to it, as ``assemble_parts`` has it."""
        first = self.pieces[0]
        if isinstance(first, ToolCallPiece) and isinstance(piece, ToolCallPiece):
            return first.call_id == piece.call_id
        return type(first) is type(piece)


class ResponseEvents:
    """Renders one response, entry by entry, from its beginning."""

    def __init__(
        self,
        frame: ResponseSkeleton,
        reply_id: MessageId,
        *,
        obfuscated: bool = True,
        after: int = -1,
    ) -> None:
        """``obfuscated``: the sizes of deltas tell nothing; events up to ``after`` are left out."""
        self._after = after
        self._frame = frame
        self._reply_id = reply_id
        self._obfuscated = obfuscated
        self._runs: list[_Run] = []
        self._sent = 0

    def beginning(self) -> bytes:
        """What stands before the first piece."""
        response = self._frame.document("in_progress")
        created = self._event("response.created", response=response)
        return created + self._event("response.in_progress", response=response)

    def of(self, numbered: NumberedPiece) -> bytes:
        """The events of one piece."""
        piece = numbered.piece
        run = self._run_of(piece)
        before = b""
        if run is None:
            before = self._closed_texts()
            run = _Run(place=len(self._runs), pieces=[piece])
            self._runs.append(run)
            before += self._begun(run)
        else:
            run.pieces.append(piece)
        return before + self._delta(run, piece)

    def ending(self, end: TurnEnd, at: datetime) -> bytes:
        """What stands after the last piece; without it a response is not whole."""
        status = item_status(end)
        closed = b"".join(self._closed(run, status) for run in self._runs if run.is_open)
        output = [self._item(run, status) for run in self._runs]
        response = self._frame.ended(end, output, at)
        return closed + self._event(_ENDINGS[status_of(end)], response=response) + DONE

    def _run_of(self, piece: Piece) -> _Run | None:
        known = self._runs if isinstance(piece, ToolCallPiece) else self._runs[-1:]
        return next((run for run in known if run.takes(piece)), None)

    def _item(self, run: _Run, status: str) -> dict[str, Any]:
        item = part_item(self._reply_id, run.place, run.part, status)
        if item is None:
            raise AssertionError("what a model says is an item")
        return item

    def _begun(self, run: _Run) -> bytes:
        item = self._item(run, "in_progress")
        run.name = item["id"]
        empty = {"content": [], "summary": [], "arguments": ""}
        begun = {**item, **{name: value for name, value in empty.items() if name in item}}
        added = self._event("response.output_item.added", output_index=run.place, item=begun)
        match run.pieces[0]:
            case TextPiece():
                return added + self._of_text(
                    run, "response.content_part.added", part=output_text("")
                )
            case ReasoningPiece():
                kind = "response.reasoning_summary_part.added"
                return added + self._of_thought(run, kind, part=summary(""))
            case _:
                return added

    def _delta(self, run: _Run, piece: Piece) -> bytes:
        match piece:
            case TextPiece(text):
                kind = "response.output_text.delta"
                return self._of_text(run, kind, delta=text, logprobs=[])
            case ReasoningPiece(text):
                return self._of_thought(run, "response.reasoning_summary_text.delta", delta=text)
            case ToolCallPiece() if piece.arguments:
                kind = "response.function_call_arguments.delta"
                return self._of_item(run, kind, delta=piece.arguments)
            case _:
                return b""

    def _closed_texts(self) -> bytes:
        texts = (run for run in self._runs if not isinstance(run.pieces[0], ToolCallPiece))
        return b"".join(self._closed(run, "completed") for run in texts if run.is_open)

    def _closed(self, run: _Run, status: str) -> bytes:
        run.is_open = False
        item = self._item(run, status)
        done = b"".join(self._finished(run, item))
        return done + self._event("response.output_item.done", output_index=run.place, item=item)

    def _finished(self, run: _Run, item: dict[str, Any]) -> Iterator[bytes]:
        match run.pieces[0]:
            case TextPiece():
                [part] = item["content"]
                kind = "response.output_text.done"
                yield self._of_text(run, kind, text=part["text"], logprobs=[])
                yield self._of_text(run, "response.content_part.done", part=part)
            case ReasoningPiece():
                [part] = item["summary"]
                kind = "response.reasoning_summary_text.done"
                yield self._of_thought(run, kind, text=part["text"])
                yield self._of_thought(run, "response.reasoning_summary_part.done", part=part)
            case ToolCallPiece():
                told = {"name": item["name"], "arguments": item["arguments"]}
                yield self._of_item(run, "response.function_call_arguments.done", **told)

    def _of_text(self, run: _Run, kind: str, **members: Any) -> bytes:
        return self._of_item(run, kind, content_index=0, **members)

    def _of_thought(self, run: _Run, kind: str, **members: Any) -> bytes:
        return self._of_item(run, kind, summary_index=0, **members)

    def _of_item(self, run: _Run, kind: str, **members: Any) -> bytes:
        named = {"item_id": run.name, "output_index": run.place}
        return self._event(kind, **named, **members)

    def _event(self, kind: str, **members: Any) -> bytes:
        number = self._sent
        document = {"type": kind, "sequence_number": number, **members}
        self._sent += 1
        if number <= self._after:
            return b""
        padded = self._obfuscated and kind.endswith(".delta")
        return (padded_event if padded else event)(document, name=kind)
