"""How much a conversation weighs, cheaply estimated."""

from typing import Final

from domain.model.conversation import Conversation
from domain.model.message import (
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)

_HEAD_BYTES: Final = 1_024
_MESSAGE_BYTES: Final = 512


def conversation_bytes(conversation: Conversation) -> int:
    """Its texts in UTF-8, and a constant for what holds them together."""
    head = (conversation.summary or "") + (conversation.page_context or "")
    words = "".join(key + value for key, value in conversation.metadata.items())
    said = sum(map(_message_bytes, conversation.messages))
    return _HEAD_BYTES + len((head + words).encode("utf-8", "surrogatepass")) + said


def _message_bytes(message: Message) -> int:
    text = "".join(map(_text_of, message.parts))
    return _MESSAGE_BYTES + len(text.encode("utf-8", "surrogatepass"))


def _text_of(part: Part) -> str:
    match part:
        case TextPart(text) | ReasoningPart(text):
            return text
        case ToolCallPart():
            return part.arguments
        case ToolResultPart():
            return part.output
        case UnknownPart(json):
            return json
        case _:
            return ""
