"""The stored messages as OpenAI's items, and the ids of conversations, responses and items.

A conversation is ``conv_`` and the 32 hexadecimal digits of its session id. A response is
``resp_``, the same digits, and 8 more for the number of its turn. A user message is one item, with
the id of the message; each part of an assistant message is one, with that id and its place.
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

NOTE_KIND: Final = "data-response"
"""The type of the part that stores the parameters of a response; it is not an item."""

_CONVERSATION: Final = re.compile(r"conv_([0-9a-f]{32})")
_RESPONSE: Final = re.compile(r"resp_([0-9a-f]{32})([0-9a-f]{8})")
_MESSAGE: Final = "msg_"


@frozen(kw_only=True)
class Item:
    """One item.

    Attributes:
        place: the place of the part that it is; None when it is the whole message.
    """

    document: dict[str, Any]
    message_id: MessageId
    place: int | None

    @property
    def id(self) -> str:
        """The id of the item."""
        return str(self.document["id"])


def conversation_id(session_id: SessionId) -> str:
    """The id of a conversation."""
    return f"conv_{UUID(session_id).hex}"


def response_id(session_id: SessionId, turn: int) -> str:
    """The id of the response that this turn is."""
    return f"resp_{UUID(session_id).hex}{turn:08x}"


def session_of_conversation(conversation_id: str) -> SessionId:
    """The session id of a conversation.

    Raises:
        ConversationNotFound: no conversation can have this id.
    """
    found = _CONVERSATION.fullmatch(conversation_id)
    if found is None:
        raise ConversationNotFound
    return SessionId(str(UUID(found[1])))


def turn_of_response(response_id: str) -> tuple[SessionId, int]:
    """The session id of the conversation, and the number of the turn.

    Raises:
        TurnNotFound: no response can have this id.
    """
    found = _RESPONSE.fullmatch(response_id)
    if found is None:
        raise TurnNotFound
    return SessionId(str(UUID(found[1]))), int(found[2], 16)


def items_of(messages: Iterable[Message]) -> list[Item]:
    """The items of all messages, in order."""
    return [item for message in messages for item in _items(message)]


def find_item(items: Sequence[Item], item_id: str) -> Item:
    """The item with this id.

    Raises:
        MessageNotFound: there is none.
    """
    for item in items:
        if item.id == item_id:
            return item
    raise MessageNotFound


def part_item(
    message_id: MessageId, place: int, part: Part, status: str = "completed"
) -> dict[str, Any] | None:
    """The item that a part of an assistant message is; None when it is not one."""
    match part:
        case TextPart(text) if text:
            return _message(
                _part_id("msg", message_id, place), "assistant", [output_text(text)], status
            )
        case ReasoningPart(text):
            item_id = _part_id("rs", message_id, place)
            document = {"id": item_id, "type": "reasoning", "summary": [summary_text(text)]}
            return {**document, "status": status}
        case ToolCallPart():
            item_id = _part_id("fc", message_id, place)
            call = {"call_id": part.call_id, "name": part.name, "arguments": part.arguments}
            return {"id": item_id, "type": "function_call", **call, "status": status}
        case ToolResultPart():
            return _tool_result(_part_id("fco", message_id, place), part)
        case UnknownPart(json):
            return _sent_reasoning(_part_id("rs", message_id, place), json)
        case _:
            return None


def output_text(text: str) -> dict[str, Any]:
    """Text of the assistant, as a content part."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def summary_text(text: str) -> dict[str, Any]:
    """Reasoning of the model, as a part of a summary."""
    return {"type": "summary_text", "text": text}


def _items(message: Message) -> Iterator[Item]:
    if message.role is Role.USER:
        content = [one for part in message.parts if (one := _user_content(part)) is not None]
        if content:
            item_id = _MESSAGE + message.id.removeprefix(_MESSAGE)
            document = _message(item_id, "user", content, "completed")
            yield Item(document=document, message_id=message.id, place=None)
        return
    status = "completed" if message.status is MessageStatus.FINISHED else "incomplete"
    for place, part in enumerate(message.parts):
        item = part_item(message.id, place, part, status)
        if item is not None:
            yield Item(document=item, message_id=message.id, place=place)


def _part_id(kind: str, message_id: MessageId, place: int) -> str:
    return f"{kind}_{message_id.removeprefix(_MESSAGE)}_{place}"


def _user_content(part: Part) -> dict[str, Any] | None:
    match part:
        case TextPart(text):
            return {"type": "input_text", "text": text}
        case FilePart() if part.media_type.startswith("image/"):
            return {"type": "input_image", "image_url": part.url, "detail": "auto"}
        case FilePart():
            return {"type": "input_file", "file_url": part.url, "filename": part.name}
        case _:
            return None


def _message(item_id: str, role: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "status": status, "content": content}


def _tool_result(item_id: str, part: ToolResultPart) -> dict[str, Any]:
    output = msgspec.json.decode(part.output)
    document = {"id": item_id, "type": "function_call_output", "call_id": part.call_id}
    output = output if isinstance(output, str | list) else part.output
    return {**document, "output": output, "status": "completed"}


def _sent_reasoning(item_id: str, json: str) -> dict[str, Any] | None:
    """A reasoning item as its client sent it, with the id that it had, if any."""
    document = msgspec.json.decode(json)
    if not isinstance(document, dict) or document.get("type") != "reasoning":
        return None
    return {"id": item_id, **document}
