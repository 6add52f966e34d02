"""What was said, as items.

How things are called here: ids that carry a kind, and what they stand for inside.

A conversation is ``conv_`` and the 32 hex digits of its session id. A response is ``resp_``, those
digits, and 8 more for the number of its turn. An item is named after its message, and, on the
assistant's side, after its place in it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from attrs import frozen

from domain.model.errors import ConversationNotFound, MessageNotFound, TurnNotFound
from domain.model.identifiers import MessageId, SessionId
from domain.model.message import (
    FilePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)

_CONVERSATION: Final = re.compile(r"conv_([0-9a-f]{32})")
_RESPONSE: Final = re.compile(r"resp_([0-9a-f]{32})([0-9a-f]{8})")
_OURS: Final = "msg_"


def conversation_id(session_id: SessionId) -> str:
    """What the conversation is called."""
    return f"conv_{UUID(session_id).hex}"


def response_id(session_id: SessionId, turn: int) -> str:
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


def part_id(kind: str, message_id: MessageId, place: int) -> str:
    """What an item is called that is one part of a message."""
    return f"{kind}_{message_id.removeprefix(_OURS)}_{place}"


NOTE_KIND: Final = "data-response"
"""The kind of part that keeps what a response was asked with; it is no item."""


@frozen(kw_only=True)
class Item:
    """One item.

    Attributes:
        place: of the part that it is; absent when it is the whole message.
    """

    document: dict[str, Any]
    message_id: MessageId
    place: int | None

    @property
    def id(self) -> str:
        """What it is called."""
        return str(self.document["id"])


def items_of(messages: Iterable[Message]) -> list[Item]:
    """The items of all messages, in order."""
    return [item for message in messages for item in _items(message)]


def item_named(items: Sequence[Item], name: str) -> Item:
    """The item of that name.

    Raises:
        MessageNotFound: there is none.
    """
    for item in items:
        if item.id == name:
            return item
    raise MessageNotFound


def part_item(
    message_id: MessageId, place: int, part: Part, status: str = "completed"
) -> dict[str, Any] | None:
    """A part of the assistant's side; absent when it is no item."""
    match part:
        case TextPart(text) if text:
            named = part_id("msg", message_id, place)
            return _message(named, "assistant", [output_text(text)], status)
        case ReasoningPart(text):
            named = part_id("rs", message_id, place)
            return {"id": named, "type": "reasoning", "summary": [summary(text)], "status": status}
        case ToolCallPart():
            named = part_id("fc", message_id, place)
            called = {"call_id": part.call_id, "name": part.name, "arguments": part.arguments}
            return {"id": named, "type": "function_call", **called, "status": status}
        case ToolResultPart():
            return _result(part_id("fco", message_id, place), part)
        case UnknownPart(json):
            return _kept(part_id("rs", message_id, place), json)
        case _:
            return None


def output_text(text: str) -> dict[str, Any]:
    """Text of the assistant."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def summary(text: str) -> dict[str, Any]:
    """What the model thought aloud."""
    return {"type": "summary_text", "text": text}


def _items(message: Message) -> Iterator[Item]:
    if message.role is Role.USER:
        content = [known for part in message.parts if (known := _said(part)) is not None]
        if content:
            document = _message(message_name(message.id), "user", content, "completed")
            yield Item(document=document, message_id=message.id, place=None)
        return
    status = "completed" if message.status is MessageStatus.FINISHED else "incomplete"
    for place, part in enumerate(message.parts):
        found = part_item(message.id, place, part, status)
        if found is not None:
            yield Item(document=found, message_id=message.id, place=place)


def _said(part: Part) -> dict[str, Any] | None:
    match part:
        case TextPart(text):
            return {"type": "input_text", "text": text}
        case FilePart() if part.media_type.startswith("image/"):
            return {"type": "input_image", "image_url": part.url, "detail": "auto"}
        case FilePart():
            return {"type": "input_file", "file_url": part.url, "filename": part.name}
        case _:
            return None


def _message(name: str, role: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": name, "type": "message", "role": role, "status": status, "content": content}


def _result(name: str, part: ToolResultPart) -> dict[str, Any]:
    output = msgspec.json.decode(part.output)
    told = output if isinstance(output, str | list) else part.output
    document = {"id": name, "type": "function_call_output", "call_id": part.call_id}
    return {**document, "output": told, "status": "completed"}


def _kept(name: str, json: str) -> dict[str, Any] | None:
    """What its client sent, as it sent it, under the id that it gave."""
    document = msgspec.json.decode(json)
    if not isinstance(document, dict) or document.get("type") != "reasoning":
        return None
    return {"id": name, **document}
