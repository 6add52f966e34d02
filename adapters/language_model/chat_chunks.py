"""The chunks of an OpenAI-compatible server's stream, decoded leniently.

Sources: the OpenAI API reference, "The chat completion chunk object"; for content that is a list
of parts, and for reasoning inside it, Mistral's API reference, "Chat completion".
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from attrs import define
from msgspec import Struct

from domain.model.message import Usage
from domain.service.user_input import nests_too_deeply
from ports.language_model import MalformedStream


class FunctionDelta(Struct):
    """The next part of a call's name and arguments."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(Struct):
    """The next part of one call; servers may leave out ``index`` and ``id``."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class Delta(Struct):
    """The next part of the reply."""

    content: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    tool_calls: list[ToolCallDelta] | None = None


class Choice(Struct):
    """One of the alternative replies; we request only one."""

    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(Struct):
    """The JSON document of one event."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None


_MAX_COUNT: Final = 2**53
_decoder: Final = msgspec.json.Decoder(Chunk)


def decode_chunk(data: bytes) -> Chunk:
    """Decode one chunk.

    Raises:
        MalformedStream: ``data`` is not a chunk, or is nested too deeply.
    """
    if nests_too_deeply(data):
        raise MalformedStream
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        # JSON allows a lone surrogate escape, msgspec does not.
        return msgspec.convert(json.loads(data), Chunk)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        # The cause may repeat text of the reply.
        raise MalformedStream from None


def text_of(content: Any) -> str:
    """The text in ``content``, a string or a list of parts; empty if there is none."""
    if isinstance(content, str):
        return content
    return "".join(map(text_of, _part_values(content, "text")))


def reasoning_of(content: Any) -> str:
    """The reasoning in ``content`` if it is a list of parts; empty if there is none."""
    return "".join(map(text_of, _part_values(content, "thinking")))


def usage_of(usage: Any) -> Usage | None:
    """The token counts in a chunk's ``usage``; None if it is not an object."""
    if not isinstance(usage, dict):
        return None
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_input_tokens=_detail(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_detail(usage, "completion_tokens_details", "reasoning_tokens"),
    )


def _part_values(content: Any, name: str) -> Iterator[Any]:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and name in part:
            yield part[name]


def _detail(usage: dict[str, Any], details: str, name: str) -> int | None:
    of_kind = usage.get(details)
    return _count(of_kind.get(name)) if isinstance(of_kind, dict) else None


def _count(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and value == value // 1 and 0 <= value <= _MAX_COUNT else None


@define
class SurrogateJoiner:
    """Joins surrogate pairs that a server splits between two chunks of one text.

    A character beyond U+FFFF may be written as two escapes in JSON, a high and a low surrogate.
    """

    _pending: str = ""

    def add(self, text: str) -> str:
        """What the last call held back, and then ``text``; lone surrogates become U+FFFD.

        A high surrogate at its end is held back until the next call.
        """
        text = self._pending + text
        self._pending = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return replace_lone_surrogates(text[: len(text) - len(self._pending)])

    def flush(self) -> str:
        """U+FFFD if a high surrogate is held back, else an empty string."""
        pending, self._pending = self._pending, ""
        return replace_lone_surrogates(pending)


def replace_lone_surrogates(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
