"""The reply of an OpenAI-compatible server: a stream of chunks, as server-sent events.

    data: {"choices":[{"delta":{"content":"Hel"},"finish_reason":null}]}
    data: {"choices":[{"delta":{},"finish_reason":"stop"}]}
    data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}
    data: [DONE]

Source: the OpenAI API reference, "The chat completion chunk object". Reasoning comes in
``reasoning_content`` (DeepSeek, vLLM, llama.cpp) or ``reasoning`` (OpenRouter, Ollama).
"""

import secrets
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from adapters.language_model.chat_chunks import (
    Chunk,
    Delta,
    SurrogateJoiner,
    decode_chunk,
    reasoning_of,
    text_of,
    usage_of,
)
from adapters.language_model.chat_failures import failure_in_stream
from adapters.language_model.chat_tool_calls import ToolCalls
from adapters.language_model.sse_reader import SseReader
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, ModelPiece, ReasoningPiece, TextPiece
from ports.language_model import ContentFiltered, MalformedStream, ModelError

_LINE_MAX_BYTES: Final = 1_000_000
_FINISH_REASONS: Final[Mapping[str, FinishReason]] = MappingProxyType(
    {
        "stop": FinishReason.STOP,
        "length": FinishReason.LENGTH,
        "content_filter": FinishReason.CONTENT_FILTER,
        "tool_calls": FinishReason.TOOL_CALLS,
        "function_call": FinishReason.TOOL_CALLS,
    }
)


class ChatStream:
    """Converts the bytes of one reply into pieces."""

    def __init__(self, used_call_ids: Collection[str] = ()) -> None:
        """Tool calls with one of ``used_call_ids`` get a new id."""
        self._events = SseReader()
        self._tool_calls = ToolCalls(used_call_ids, _new_call_id)
        self._text = SurrogateJoiner()
        self._reasoning = SurrogateJoiner()
        self._finish_reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._has_pieces = False
        self._is_done = False

    @property
    def has_finished(self) -> bool:
        """Whether the reply is complete; usage may still follow."""
        return self._is_done or self._finish_reason is not None

    def feed(self, data: bytes) -> Iterator[ModelPiece]:
        """Yield the pieces that ``data`` completes.

        Raises:
            MalformedStream: the bytes are not a stream of chunks.
            ModelError: the server reports a failure.
        """
        events = self._events.feed(data)
        if self._events.unfinished_bytes > _LINE_MAX_BYTES:
            raise MalformedStream
        for event in events:
            yield from self._read_event(event.data)

    def end(self) -> Iterator[ModelPiece]:
        """Yield what is left at the end of the stream, such as a last line without a line end.

        Raises:
            MalformedStream, ModelError: as in ``feed``.
        """
        yield from self.feed(b"\n")
        if text := self._text.flush():
            yield TextPiece(text)

    def finish(self) -> ModelFinished:
        """How the reply ended; call it at the end of the stream.

        Raises:
            MalformedStream: the stream broke off before the reply was complete.
            ContentFiltered: the provider's filter suppressed the whole reply.
        """
        if not self.has_finished:
            raise MalformedStream
        if self._finish_reason is FinishReason.CONTENT_FILTER and not self._has_pieces:
            raise ContentFiltered
        return ModelFinished(reason=self._finish_reason or FinishReason.OTHER, usage=self._usage)

    def _read_event(self, data: bytes) -> Iterator[ModelPiece]:
        if data == b"[DONE]":
            self._is_done = True
        elif not self._is_done:
            try:
                yield from self._read_chunk(decode_chunk(data))
            except ModelError:
                # Nothing that follows a complete reply can make it fail.
                if not self.has_finished:
                    raise

    def _read_chunk(self, chunk: Chunk) -> Iterator[ModelPiece]:
        if chunk.error is not None:
            raise failure_in_stream(chunk.error)
        self._usage = usage_of(chunk.usage) or self._usage
        for choice in chunk.choices or ():
            for piece in self._read_delta(choice.delta or Delta()):
                self._has_pieces = True
                yield piece
            if choice.finish_reason:
                self._finish_reason = _FINISH_REASONS.get(choice.finish_reason, FinishReason.OTHER)

    def _read_delta(self, delta: Delta) -> Iterator[ModelPiece]:
        reasoning = (
            delta.reasoning_content or text_of(delta.reasoning) or reasoning_of(delta.content)
        )
        if reasoning := self._reasoning.add(reasoning):
            yield ReasoningPiece(reasoning)
        if text := self._text.add(text_of(delta.content) or delta.refusal or ""):
            yield TextPiece(text)
        for call in delta.tool_calls or ():
            if (piece := self._tool_calls.add(call)) is not None:
                yield piece


def _new_call_id() -> str:
    return f"call_{secrets.token_hex(8)}"
