"""What an OpenAI-compatible server answers: a stream of chunks, as server-sent events.

    data: {"choices":[{"delta":{"content":"Hel"},"finish_reason":null}]}
    data: {"choices":[{"delta":{},"finish_reason":"stop"}]}
    data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}
    data: [DONE]

Sources: the OpenAI API reference, "The chat completion chunk object"; the HTML standard, section
"Server-sent events". ``reasoning_content`` (DeepSeek, vLLM, llama.cpp) and ``reasoning``
(OpenRouter, Ollama) carry what the model thinks aloud.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Struct

from adapters.language_model.chat_failures import failure_in_stream
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, Piece, ReasoningPiece, TextPiece, ToolCallPiece
from ports.model_errors import ContentFiltered, MalformedStream

_LINE_MAX_BYTES: Final = 1_000_000
_REASONS: Final[Mapping[str, FinishReason]] = MappingProxyType(
    {
        "stop": FinishReason.STOP,
        "length": FinishReason.LENGTH,
        "content_filter": FinishReason.CONTENT_FILTER,
        "tool_calls": FinishReason.TOOL_CALLS,
        "function_call": FinishReason.TOOL_CALLS,
    }
)


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_chunks: Final = msgspec.json.Decoder(_Chunk)


class ChatStream:
    """One reply's stream, put together from the bytes as they come."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._rest = b""
        self._calls: dict[int, tuple[str, str]] = {}
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
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_MAX_BYTES:
            raise MalformedStream
        for line in lines:
            if line.startswith(b"data:"):
                yield from self._event(line[5:].strip())

    def last_word(self) -> ModelFinished:
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
            yield from self._chunk(_decoded(data))

    def _chunk(self, chunk: _Chunk) -> Iterator[Piece]:
        if chunk.error is not None:
            raise failure_in_stream(chunk.error)
        if chunk.usage is not None:
            usage = chunk.usage
            self._usage = Usage(
                input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens
            )
        for choice in chunk.choices or ():
            for piece in self._pieces(choice.delta or _Delta()):
                self._spoken = True
                yield piece
            if choice.finish_reason:
                self._reason = _REASONS.get(choice.finish_reason, FinishReason.OTHER)

    def _pieces(self, delta: _Delta) -> Iterator[Piece]:
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            yield ReasoningPiece(thought)
        text = delta.content or delta.refusal
        if text:
            yield TextPiece(text)
        for call in delta.tool_calls or ():
            yield from self._tool_call(call)

    def _tool_call(self, call: _ToolCall) -> Iterator[Piece]:
        function = call.function or _Function()
        known = self._calls.get(call.index)
        # Some servers count every call as the first and tell them apart by their ids.
        if known is None or call.id not in (None, "", known[0]):
            if not function.name:
                raise MalformedStream
            known = (call.id or f"call_{len(self._calls)}", function.name)
            self._calls[call.index] = known
            yield ToolCallPiece(call_id=known[0], name=known[1], arguments=function.arguments or "")
        elif function.arguments:
            yield ToolCallPiece(call_id=known[0], name=known[1], arguments=function.arguments)


def _decoded(data: bytes) -> _Chunk:
    try:
        return _chunks.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # The cause may repeat what the model said.
        raise MalformedStream from None
