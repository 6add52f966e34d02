"""The chunks of an OpenAI-compatible server's stream, read as leniently as servers write them.

Sources: the OpenAI API reference, "The chat completion chunk object"; for contents as lists of
parts and for what a model thinks in them, Mistral's API reference, "Chat completion".

Characters that come in halves: a character beyond U+FFFF is two escapes in JSON, and a server
that streams may send them apart.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from attrs import define
from msgspec import Struct

from domain.model.message import Usage
from ports.language_model import MalformedStream


class Function(Struct):
    """More of a call's name and arguments."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(Struct):
    """More of one call; what tells it from others may be missing."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(Struct):
    """What is new."""

    content: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    tool_calls: list[ToolCall] | None = None


class Choice(Struct):
    """One answer; there is only one."""

    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(Struct):
    """One event."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None


_chunks: Final = msgspec.json.Decoder(Chunk)


def decoded(data: bytes) -> Chunk:
    """The chunk in ``data``.

    Raises:
        MalformedStream: there is none.
    """
    try:
        return _chunks.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        # Half of a character is legal JSON, which msgspec does not take.
        return msgspec.convert(json.loads(data), Chunk)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        # The cause may repeat what the model said.
        raise MalformedStream from None


def text_of(content: Any) -> str:
    """The text of a content: of all its parts when it is a list."""
    if isinstance(content, str):
        return content
    return "".join(map(text_of, _each(content, "text")))


def reasoning_of(content: Any) -> str:
    """What the model thinks aloud in a content that is a list of parts."""
    return "".join(map(text_of, _each(content, "thinking")))


def usage_of(told: Any) -> Usage | None:
    """The counts that were told; absent when none was, or nothing to be understood."""
    if not isinstance(told, dict):
        return None
    counts = [_count(told.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    return Usage(input_tokens=counts[0], output_tokens=counts[1])


def _each(content: Any, name: str) -> Iterator[Any]:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and name in part:
            yield part[name]


def _count(told: Any) -> int | None:
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return int(told) if is_number and told == told // 1 and told >= 0 else None


@define
class SurrogateJoiner:
    """One run of text, put together from the strings that come."""

    _half: str = ""

    def of(self, text: str) -> str:
        """What is whole of it by now; a half whose other half never comes is U+FFFD."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return replace_lone_surrogates(text[: len(text) - len(self._half)])

    def rest(self) -> str:
        """U+FFFD if only half a character came last."""
        half, self._half = self._half, ""
        return replace_lone_surrogates(half)


def replace_lone_surrogates(text: str) -> str:
    """The text with its halves joined, and those that stay alone as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
