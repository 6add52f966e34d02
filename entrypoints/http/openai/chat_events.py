"""A turn as the chunks of a streamed chat completion.

Source: the OpenAI API reference, "The chat completion chunk object". ``reasoning_content`` is not
OpenAI's; other servers and many clients use this name for the reasoning that a model shows.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from msgspec import UNSET, UnsetType

from domain.model.message import SourcePart
from domain.model.piece import (
    NumberedPiece,
    ReasoningPiece,
    SourcePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
)
from domain.model.turn import TurnEnd
from entrypoints.http.openai.chat_documents import (
    ChunkChoiceDocument,
    CompletionSkeleton,
    finish_reason_name,
    metadata_of,
    usage_document,
)
from entrypoints.http.openai.citations import chat_annotations
from entrypoints.http.openai.documents import ErrorDocument
from entrypoints.http.openai.errors import error_details
from entrypoints.http.openai.streaming import Batches
from entrypoints.http.problems import Problem
from entrypoints.http.sse import DONE, HEARTBEAT, event, padded_event
from ports.turn_log import Batch


class ChatEvents:
    """Renders the chunks of one completion. Call ``piece`` for every piece, in order."""

    def __init__(
        self,
        skeleton: CompletionSkeleton,
        problem_of_end: Callable[[TurnEnd], Problem | None],
        *,
        with_usage: bool,
        obfuscated: bool,
    ) -> None:
        """Render one completion.

        Args:
            skeleton: the members of every chunk.
            problem_of_end: why a reply with this end is not complete; None if it is.
            with_usage: whether to add a chunk with the usage.
            obfuscated: whether to pad the deltas.
        """
        self._skeleton = skeleton
        self._problem_of_end = problem_of_end
        self._with_usage = with_usage
        self._obfuscated = obfuscated
        self._indexes: dict[str, int] = {}
        self._has_started = False
        self._texts: list[str] = []
        self._is_separated = False
        self._sources: list[SourcePart] = []

    def piece(self, numbered: NumberedPiece) -> bytes:
        """The chunks of one piece."""
        match numbered.piece:
            case TextPiece(text):
                return self._start("") + self._delta(content=self._separated(text))
            case ReasoningPiece(text):
                return self._start(None) + self._delta(reasoning_content=text)
            case ToolCallPiece(server=None) as call:
                return self._start(None) + self._delta(tool_calls=[self._tool_call(call)])
            case SourcePiece(source):
                self._sources.append(source)
            case StepPiece():
                self._is_separated = bool(self._texts)
        return b""

    def end(self, end: TurnEnd) -> bytes:
        """What follows the last piece.

        A failure is an event with an ``error``, and nothing after it: ``[DONE]`` would mean that
        the reply is complete.
        """
        problem = self._problem_of_end(end)
        if problem is not None:
            return event(ErrorDocument(error=error_details(problem)))
        finish = ChunkChoiceDocument(delta={}, finish_reason=finish_reason_name(end.finish_reason))
        last = self._chunk(finish, metadata=metadata_of(end))
        return self._start("") + self._annotations() + last + self._usage(end) + DONE

    def _start(self, content: str | None) -> bytes:
        if self._has_started:
            return b""
        self._has_started = True
        delta = {"role": "assistant", "content": content, "refusal": None}
        return self._chunk(ChunkChoiceDocument(delta=delta))

    def _separated(self, text: str) -> str:
        """The text, after a blank line if it is the first of another step."""
        separated = f"\n\n{text}" if self._is_separated else text
        self._is_separated = False
        self._texts.append(separated)
        return separated

    def _annotations(self) -> bytes:
        """The chunk with the sources of the whole text, if it has any."""
        annotations = chat_annotations("".join(self._texts), self._sources)
        if not annotations:
            return b""
        return self._chunk(ChunkChoiceDocument(delta={"annotations": annotations}))

    def _tool_call(self, piece: ToolCallPiece) -> dict[str, Any]:
        # The arguments of several calls may be interleaved.
        index = self._indexes.get(piece.call_id)
        if index is not None:
            return {"index": index, "function": {"arguments": piece.arguments}}
        index = self._indexes[piece.call_id] = len(self._indexes)
        function = {"name": piece.name, "arguments": piece.arguments}
        return {"index": index, "id": piece.call_id, "type": "function", "function": function}

    def _delta(self, **delta: Any) -> bytes:
        return self._chunk(ChunkChoiceDocument(delta=delta), is_padded=self._obfuscated)

    def _usage(self, end: TurnEnd) -> bytes:
        usage = usage_document(end.usage)
        if usage is None or not self._with_usage:
            return b""
        return event(self._skeleton.chunk(usage=usage))

    def _chunk(
        self,
        choice: ChunkChoiceDocument,
        *,
        metadata: dict[str, str] | UnsetType = UNSET,
        is_padded: bool = False,
    ) -> bytes:
        usage = None if self._with_usage else UNSET
        chunk = self._skeleton.chunk(choice, usage=usage, metadata=metadata)
        return (padded_event if is_padded else event)(chunk)


async def chunk_stream(
    first: Batch, batches: Batches, events: ChatEvents
) -> AsyncGenerator[bytes, None]:
    """The chunks of ``first`` and of all later batches, with comments while the model is silent."""
    async with aclosing(batches):
        yield _rendered(first, events) or HEARTBEAT
        async for batch in batches:
            yield _rendered(batch, events) or HEARTBEAT


def _rendered(batch: Batch, events: ChatEvents) -> bytes:
    pieces = b"".join(map(events.piece, batch.pieces))
    return pieces if batch.end is None else pieces + events.end(batch.end)
