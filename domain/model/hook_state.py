"""The hook state, the JSON that a hook keeps with a conversation, and how it is restored.

A reply whose turn changed the state also has the state before the change. So a repeated turn begins
with the same state as the first time, and a state that does not change is stored only once.
"""

from collections.abc import Iterable
from typing import Final

from attrs import evolve

from domain.model.message import Message

_NO_STATE: Final = "null"


def state_before(messages: Iterable[Message], state: str | None) -> str | None:
    """The state before the first of ``messages``; ``state`` is the one after the last of them."""
    changed = (message.hook_state_before for message in messages)
    first = next((before for before in changed if before is not None), None)
    if first is None:
        return state
    return None if first == _NO_STATE else first


def after_state_change(reply: Message, before: str | None) -> Message:
    """The reply, which now also has the state before the change.

    If several turns wrote the reply, it keeps the state before the first change.
    """
    if reply.hook_state_before is not None:
        return reply
    return evolve(reply, hook_state_before=_NO_STATE if before is None else before)
