"""What an OpenAI-compatible server answers: a stream of chunks, as server-sent events.

    data: {"choices":[{"delta":{"content":"Hel"},"finish_reason":null}]}
    data: {"choices":[{"delta":{},"finish_reason":"stop"}]}
    data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}
    data: [DONE]

Sources: the OpenAI API reference, "The chat completion chunk object"; the HTML standard, section
"Server-sent events". ``reasoning_content`` (DeepSeek, vLLM, llama.cpp) and ``reasoning``
(OpenRouter, Ollama) carry what the model thinks aloud.
"""

import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from adapters.language_model.chat_chunks import (
    Chunk,
    Delta,
    SurrogateJoiner,
    decoded,
    reasoning_of,
    text_of,
    usage_of,
)
from adapters.language_model.chat_failures import failure_in_stream
from adapters.language_model.chat_tool_calls import ToolCalls
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, Piece, ReasoningPiece, TextPiece
from ports.language_model import ContentFiltered, MalformedStream, ModelError

_LINE_MAX_BYTES: Final = 1_000_000
_LINE_ENDS: Final = re.compile(rb"\r\n|\r|\n")
_REASONS: Final[Mapping[str, FinishReason]] = MappingProxyType(
    {
        "stop": FinishReason.STOP,
        "length": FinishReason.LENGTH,
        "content_filter": FinishReason.CONTENT_FILTER,
        "tool_calls": FinishReason.TOOL_CALLS,
        "function_call": FinishReason.TOOL_CALLS,
    }
)


class ChatStream:
    """One reply's stream, put together from the bytes as they come."""

    def __init__(self, taken: Collection[str] = ()) -> None:
        """Nothing has come yet; no tool call gets an id that is ``taken``."""
        self._rest = b""
        self._calls = ToolCalls(taken, _new_call_id)
        self._text = SurrogateJoiner()
        self._thought = SurrogateJoiner()
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._spoken = False
        self.is_done = False
        """Whether the server said that nothing follows."""

    @property
    def has_finished(self) -> bool:
        """Whether the model has spoken its last word; usage may still follow."""
        return self.is_done or self._reason is not None

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that ``data`` completes.

        Raises:
            MalformedStream: it is no such stream.
            ModelError: the server reports a failure.
        """
        *lines, self._rest = _LINE_ENDS.split(self._rest + data)
        if len(self._rest) > _LINE_MAX_BYTES:
            raise MalformedStream
        for line in lines:
            if line.startswith(b"data:"):
                yield from self._event(line[5:].strip())

    def end(self) -> Iterator[Piece]:
        """The pieces in what came last without the end of its line.

        Raises:
            MalformedStream, ModelError: as ``feed``.
        """
        yield from self.feed(b"\n")
        if half := self._text.rest():
            yield TextPiece(half)

    def finish(self) -> ModelFinished:
        """How the reply ended, once nothing more comes.

        Raises:
            MalformedStream: it broke off.
            ContentFiltered: the provider's filter let nothing through.
        """
        if not self.has_finished:
            raise MalformedStream
        if self._reason is FinishReason.CONTENT_FILTER and not self._spoken:
            raise ContentFiltered
        return ModelFinished(reason=self._reason or FinishReason.OTHER, usage=self._usage)

    def _event(self, data: bytes) -> Iterator[Piece]:
        if data == b"[DONE]":
            self.is_done = True
        elif data and not self.is_done:
            try:
                yield from self._chunk(decoded(data))
            except ModelError:
                # A reply that is whole stays so, whatever follows it.
                if not self.has_finished:
                    raise

    def _chunk(self, chunk: Chunk) -> Iterator[Piece]:
        if chunk.error is not None:
            raise failure_in_stream(chunk.error)
        self._usage = usage_of(chunk.usage) or self._usage
        for choice in chunk.choices or ():
            for piece in self._pieces(choice.delta or Delta()):
                self._spoken = True
                yield piece
            if choice.finish_reason:
                self._reason = _REASONS.get(choice.finish_reason, FinishReason.OTHER)

    def _pieces(self, delta: Delta) -> Iterator[Piece]:
        told = delta.reasoning_content or text_of(delta.reasoning) or reasoning_of(delta.content)
        if told and (thought := self._thought.of(told)):
            yield ReasoningPiece(thought)
        told = text_of(delta.content) or delta.refusal or ""
        if told and (text := self._text.of(told)):
            yield TextPiece(text)
        for call in delta.tool_calls or ():
            if (piece := self._calls.piece(call)) is not None:
                yield piece


def _new_call_id() -> str:
    return f"call_{secrets.token_hex(8)}"
