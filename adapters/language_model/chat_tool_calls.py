"""Telling a reply's tool calls apart, however the server numbers and names them.

By the standard each call has an index, and its first chunk an id and a name. But some servers
number all of them 0, some number none, some give no ids or the same twice, and some send the name
with every chunk.
"""

import json
from collections.abc import Callable, Collection

from attrs import define, field

from adapters.language_model.chat_chunks import (
    Function,
    SurrogateJoiner,
    ToolCall,
    replace_lone_surrogates,
)
from domain.model.piece import ToolCallPiece
from ports.language_model import MalformedStream


@define
class _Call:
    told_id: str
    call_id: str
    name: str
    arguments: str = ""
    characters: SurrogateJoiner = field(factory=SurrogateJoiner)

    def more(self, arguments: str) -> ToolCallPiece:
        whole = self.characters.of(arguments)
        self.arguments += whole
        return ToolCallPiece(call_id=self.call_id, name=self.name, arguments=whole)

    @property
    def is_whole(self) -> bool:
        try:
            json.loads(self.arguments)
        except (ValueError, RecursionError):
            return False
        return True


class ToolCalls:
    """The calls of one reply."""

    def __init__(self, taken: Collection[str], new_id: Callable[[], str]) -> None:
        """A call that has no id, or one that is ``taken``, gets one from ``new_id``."""
        self._taken = set(taken)
        self._new_id = new_id
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None

    def piece(self, told: ToolCall) -> ToolCallPiece | None:
        """What this adds to its call, or begins one with; absent when it adds nothing.

        Raises:
            MalformedStream: it belongs to no call.
        """
        function = told.function or Function()
        known = self._last if told.index is None else self._by_index.get(told.index)
        if known is not None and not self._is_another(known, told, function):
            return known.more(function.arguments) if function.arguments else None
        if not function.name:
            raise MalformedStream
        call = _Call(told.id or "", self._own_id(told.id), replace_lone_surrogates(function.name))
        self._last = call
        if told.index is not None:
            self._by_index[told.index] = call
        return call.more(function.arguments or "")

    def _is_another(self, known: _Call, told: ToolCall, function: Function) -> bool:
        if told.id:
            return told.id != known.told_id
        return bool(function.name and function.arguments) and known.is_whole

    def _own_id(self, told: str | None) -> str:
        call_id = replace_lone_surrogates(told or "")
        while not call_id or call_id in self._taken:
            call_id = self._new_id()
        self._taken.add(call_id)
        return call_id
