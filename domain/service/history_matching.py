"""Compares a history that a client sends with a stored conversation."""

from collections.abc import Sequence
from itertools import dropwhile, takewhile
from typing import Final, Protocol, TypeVar

from domain.model.conversation import Conversation
from domain.model.message import (
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    ToolResultPart,
    UnknownPart,
)
from domain.model.turn import TurnStatus
from domain.service.server_calls import is_server_call, server_results

_NOT_COMPARED: Final = (ReasoningPart, SourcePart, StepMark, UnknownPart)


class Item(Protocol):
    """An entry of the history: what one item of the assistant holds, or another role's message."""

    @property
    def role(self) -> Role:
        """Who wrote it."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its content."""
        ...


_Item = TypeVar("_Item", bound=Item)


def unanswered_items(conversation: Conversation, items: Sequence[_Item]) -> Sequence[_Item] | None:
    """The items that the conversation does not have yet; None if it is not the same history.

    It is the same history if the items begin with the whole conversation, and others follow. If
    none follow and the newest turn has failed without a reply, the last ones are to be answered
    again. Reasoning, sources, and calls of tools that we run are not compared, because clients may
    leave them out.
    """
    if conversation.earlier or not conversation.messages:
        return None
    stored = [
        (message.role, part)
        for message in conversation.messages
        for part in _compared(message.parts)
    ]
    position = 0
    for count, item in enumerate(items):
        if position == len(stored):
            return [*dropwhile(_is_our_call, items[count:])]
        parts = [(item.role, part) for part in _compared(item.parts)]
        if stored[position : position + len(parts)] != parts:
            return None
        position += len(parts)
    is_whole = position == len(stored)
    return _failed_input(conversation, items) if is_whole else None


def _compared(parts: Sequence[Part]) -> Sequence[Part]:
    results = {*server_results(parts).values()}
    return [
        part
        for index, part in enumerate(parts)
        if index not in results and not isinstance(part, _NOT_COMPARED) and not is_server_call(part)
    ]


def _is_our_call(item: Item) -> bool:
    return bool(item.parts) and is_server_call(item.parts[0])


def _failed_input(conversation: Conversation, items: Sequence[_Item]) -> Sequence[_Item] | None:
    turn = conversation.turn
    if turn is None or turn.status is not TurnStatus.FAILED:
        return None
    count = len(tuple(takewhile(_is_input, reversed(items))))
    return items[len(items) - count :] or None


def _is_input(item: Item) -> bool:
    is_result = bool(item.parts) and isinstance(item.parts[0], ToolResultPart)
    return item.role is not Role.ASSISTANT or is_result
