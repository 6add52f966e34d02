"""How things are called here: ids that carry a kind, and what they stand for inside.

A conversation is ``conv_`` and the 32 hex digits of its session id. A response is ``resp_``, those
digits, and 8 more for the number of its turn. An item is named after its message, and, on the
assistant's side, after its place in it.
"""

import re
from typing import Final
from uuid import UUID

from domain.model.errors import ConversationNotFound, TurnNotFound
from domain.model.identifiers import MessageId, SessionId

_CONVERSATION: Final = re.compile(r"conv_([0-9a-f]{32})")
_RESPONSE: Final = re.compile(r"resp_([0-9a-f]{32})([0-9a-f]{8})")
_OURS: Final = "msg_"


def conversation_name(session_id: SessionId) -> str:
    """What the conversation is called."""
    return f"conv_{UUID(session_id).hex}"


def response_name(session_id: SessionId, turn: int) -> str:
    """What the reply of this turn is called."""
    return f"resp_{UUID(session_id).hex}{turn:08x}"


def named_conversation(name: str) -> SessionId:
    """The conversation that is called so.

    Raises:
        ConversationNotFound: nothing could be.
    """
    found = _CONVERSATION.fullmatch(name)
    if found is None:
        raise ConversationNotFound
    return SessionId(str(UUID(found[1])))


def named_response(name: str) -> tuple[SessionId, int]:
    """The conversation and the number of its turn.

    Raises:
        TurnNotFound: nothing could be called so.
    """
    found = _RESPONSE.fullmatch(name)
    if found is None:
        raise TurnNotFound
    return SessionId(str(UUID(found[1]))), int(found[2], 16)


def message_name(message_id: MessageId) -> str:
    """What an item is called that is a whole message."""
    return _OURS + message_id.removeprefix(_OURS)


def part_name(kind: str, message_id: MessageId, place: int) -> str:
    """What an item is called that is one part of a message."""
    return f"{kind}_{message_id.removeprefix(_OURS)}_{place}"
