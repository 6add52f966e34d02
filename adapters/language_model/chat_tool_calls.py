"""Distinguishes a reply's tool calls, however the server numbers and names them.

In OpenAI's API each call has an index, and its first chunk has an id and a name. But some servers
give every call the index 0 or no index, some send no ids or the same id twice, and some repeat the
name in every chunk.
"""

import json
import re
from collections.abc import Callable, Collection
from typing import Final

from attrs import define, field

from adapters.language_model.chat_chunks import (
    FunctionDelta,
    SurrogateJoiner,
    ToolCallDelta,
    replace_lone_surrogates,
)
from domain.model.piece import ToolCallPiece
from ports.language_model import MalformedStream

_MARK: Final = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


@define
class _Arguments:
    """The arguments of one call, which arrive in fragments.

    Every fragment is read once: parsing all of them again each time would take too long.
    """

    _fragments: list[str] = field(factory=list)
    _pending: str = ""
    _depth: int = 0
    _is_in_string: bool = False
    _has_ended: bool = False
    _is_json: bool | None = None

    def add(self, text: str) -> None:
        self._fragments.append(text)
        text = self._pending + text
        self._pending = "\\" if (len(text) - len(text.rstrip("\\"))) % 2 else ""
        for mark in _MARK.findall(text):
            if mark == '"':
                self._is_in_string = not self._is_in_string
            elif not self._is_in_string:
                self._depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
                self._has_ended = self._has_ended or (mark in "]}" and not self._depth)

    def are_complete(self) -> bool:
        """Whether they are a whole JSON object."""
        if self._has_ended and self._is_json is None:
            self._is_json = _is_json("".join(self._fragments))
        return bool(self._is_json)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@define
class _Call:
    server_id: str
    call_id: str
    name: str
    arguments: _Arguments = field(factory=_Arguments)
    joiner: SurrogateJoiner = field(factory=SurrogateJoiner)

    def append(self, arguments: str) -> ToolCallPiece:
        text = self.joiner.add(arguments)
        self.arguments.add(text)
        return ToolCallPiece(call_id=self.call_id, name=self.name, arguments=text)


class ToolCalls:
    """The calls of one reply."""

    def __init__(self, used_ids: Collection[str], new_id: Callable[[], str]) -> None:
        """A call without an id, or with one of ``used_ids``, gets its id from ``new_id``."""
        self._used_ids = set(used_ids)
        self._new_id = new_id
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None

    def add(self, delta: ToolCallDelta) -> ToolCallPiece | None:
        """The piece that ``delta`` adds to a new or an earlier call; None if it adds nothing.

        Raises:
            MalformedStream: it belongs to no call, and has no name with which to start one.
        """
        function = delta.function or FunctionDelta()
        call = self._last if delta.index is None else self._by_index.get(delta.index)
        if call is not None and not _starts_another(call, delta, function):
            return call.append(function.arguments) if function.arguments else None
        if not function.name:
            raise MalformedStream
        name = replace_lone_surrogates(function.name)
        call = _Call(delta.id or "", self._unique_id(delta.id), name)
        self._last = call
        if delta.index is not None:
            self._by_index[delta.index] = call
        return call.append(function.arguments or "")

    def _unique_id(self, server_id: str | None) -> str:
        call_id = replace_lone_surrogates(server_id or "")
        while not call_id or call_id in self._used_ids:
            call_id = self._new_id()
        self._used_ids.add(call_id)
        return call_id


def _starts_another(call: _Call, delta: ToolCallDelta, function: FunctionDelta) -> bool:
    if delta.id:
        return delta.id != call.server_id
    return bool(function.name and function.arguments) and call.arguments.are_complete()
