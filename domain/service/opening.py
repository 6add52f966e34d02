"""How a conversation begins."""

from datetime import datetime

from attrs import evolve

from domain.model.conversation import Conversation, said
from domain.model.identifiers import MessageId, SessionId
from domain.model.message import Message, Role, TextPart
from domain.model.retention import UNUSED_STAY


def opened(session_id: SessionId, *, locale: str, at: datetime) -> Conversation:
    """An empty conversation; it is forgotten soon unless somebody speaks in it."""
    return Conversation(
        id=session_id, locale=locale, created_at=at, kept_since=at, kept_for=UNUSED_STAY
    )


def welcomed(conversation: Conversation, message_id: MessageId, text: str) -> Conversation:
    """The conversation with the assistant's welcome as its next message."""
    welcome = Message(
        id=message_id,
        number=conversation.next_number,
        turn=0,
        role=Role.ASSISTANT,
        parts=(TextPart(text),),
        created_at=conversation.created_at,
    )
    return said(evolve(conversation), welcome)
