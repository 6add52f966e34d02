"""Compares a history that a client sends with a stored conversation."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Protocol, TypeVar

from domain.model.conversation import Conversation
from domain.model.message import Part, ReasoningPart, Role, StepMark, ToolResultPart, UnknownPart
from domain.model.turn import TurnStatus


class Item(Protocol):
    """An entry of the history: one part of the assistant, or a whole message of another role."""

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
    again. Reasoning is not compared, because clients may leave it out.
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
            return items[count:]
        parts = [(item.role, part) for part in _compared(item.parts)]
        if stored[position : position + len(parts)] != parts:
            return None
        position += len(parts)
    is_whole = position == len(stored)
    return _failed_input(conversation, items) if is_whole else None


def _compared(parts: Sequence[Part]) -> Sequence[Part]:
    return [part for part in parts if not isinstance(part, ReasoningPart | StepMark | UnknownPart)]


def _failed_input(conversation: Conversation, items: Sequence[_Item]) -> Sequence[_Item] | None:
    turn = conversation.turn
    if turn is None or turn.status is not TurnStatus.FAILED:
        return None
    count = len(tuple(takewhile(_is_input, reversed(items))))
    return items[len(items) - count :] or None


def _is_input(item: Item) -> bool:
    is_result = any(isinstance(part, ToolResultPart) for part in item.parts)
    return item.role is not Role.ASSISTANT or is_result
