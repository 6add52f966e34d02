"""The stored messages as OpenAI's items, and the ids of conversations, responses and items.

The id of a conversation is ``conv_`` and the 32 hexadecimal digits of its session id. The id of a
response is ``resp_``, the same digits, and 8 more for the number of its turn. Each part of an
assistant message is one item, with the id of the message and the index of the part. The result of a
tool that the service ran is in the item of its call, and sources are in the items that cite them.
Any other message is one item as a whole, with the id of the message.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from attrs import frozen
from msgspec import Raw

from domain.model.errors import ConversationNotFound, MessageNotFound, TurnNotFound
from domain.model.identifiers import MessageId, SessionId
from domain.model.message import (
    FilePart,
    ImagePart,
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
from domain.service.server_calls import server_results
from entrypoints.http.openai.bodies import FunctionOutput
from entrypoints.http.openai.citations import annotations_of

NOTE_KIND: Final = "data-response"
"""The type of the part that stores the parameters of a response; it is not an item."""

_CONVERSATION: Final = re.compile(r"conv_([0-9a-f]{32})")
_RESPONSE: Final = re.compile(r"resp_([0-9a-f]{32})([0-9a-f]{8})")
_PART: Final = re.compile(r"[a-z]+_([0-9a-f]{32})[0-9a-f]+_\d+")
_MESSAGE: Final = "msg_"


@frozen(kw_only=True)
class Item:
    """One item.

    Attributes:
        document: the item as JSON.
        part_index: the index of the message part that it represents; None for the whole message.
    """

    document: dict[str, Any]
    message_id: MessageId
    part_index: int | None

    @property
    def id(self) -> str:
        """The id of the item."""
        return str(self.document["id"])


def conversation_id(session_id: SessionId) -> str:
    """The id of a conversation."""
    return f"conv_{UUID(session_id).hex}"


def response_id(session_id: SessionId, turn: int) -> str:
    """The id of the response that represents this turn."""
    return f"resp_{UUID(session_id).hex}{turn:08x}"


def completion_id(session_id: SessionId, turn: int) -> str:
    """The id of the chat completion that represents this turn."""
    return f"chatcmpl-{UUID(session_id).hex}{turn:08x}"


def session_of_conversation(conversation_id: str) -> SessionId:
    """The session id of a conversation.

    Raises:
        ConversationNotFound: no conversation can have this id.
    """
    match = _CONVERSATION.fullmatch(conversation_id)
    if match is None:
        raise ConversationNotFound
    return SessionId(str(UUID(match[1])))


def turn_of_response(response_id: str) -> tuple[SessionId, int]:
    """The session id of the conversation, and the number of the turn.

    Raises:
        TurnNotFound: no response can have this id.
    """
    match = _RESPONSE.fullmatch(response_id)
    if match is None:
        raise TurnNotFound
    return SessionId(str(UUID(match[1]))), int(match[2], 16)


def session_of_item(item_id: str) -> SessionId | None:
    """The session id in the id of an item of the assistant; None if the id is not one."""
    match = _PART.fullmatch(item_id)
    return SessionId(str(UUID(match[1]))) if match else None


def items_of(session_id: SessionId, messages: Iterable[Message]) -> list[Item]:
    """The items of these messages of a conversation, in order."""
    return [item for message in messages for item in _items(session_id, message)]


def find_item(items: Sequence[Item], item_id: str) -> Item:
    """The item with this id.

    Raises:
        MessageNotFound: there is none.
    """
    for item in items:
        if item.id == item_id:
            return item
    raise MessageNotFound


def reply_items(
    session_id: SessionId, message_id: MessageId, parts: Sequence[Part], status: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The items for the parts of an assistant message, each with the index of its part."""
    annotations, results = annotations_of(parts), server_results(parts)
    within_calls = {*results.values()}
    for index, part in enumerate(parts):
        if index in within_calls:
            continue
        if isinstance(part, ToolCallPart) and part.server is not None:
            result = parts[results[index]] if index in results else None
            yield index, mcp_call(session_id, message_id, index, part, result)
            continue
        item = part_item(session_id, message_id, index, part, status)
        if item is None:
            continue
        if annotations.get(index):
            item["content"][0]["annotations"] = annotations[index]
        yield index, item


def part_item(
    session_id: SessionId, message_id: MessageId, index: int, part: Part, status: str
) -> dict[str, Any] | None:
    """The item for a part of an assistant message; None if the part is not an item.

    The texts have no annotations. See ``mcp_call`` for the call of a tool that the service runs.
    """
    suffix = _suffix(session_id, message_id, index)
    match part:
        case TextPart(text) if text:
            return _message(f"msg_{suffix}", "assistant", [output_text(text)], status)
        case ReasoningPart(text):
            item_id = f"rs_{suffix}"
            document = {"id": item_id, "type": "reasoning", "summary": [summary_text(text)]}
            return {**document, "status": status}
        case ToolCallPart():
            item_id = f"fc_{suffix}"
            call = {"call_id": part.call_id, "name": part.name, "arguments": part.arguments}
            return {"id": item_id, "type": "function_call", **call, "status": status}
        case ToolResultPart():
            return _tool_result(f"fco_{suffix}", part)
        case UnknownPart(json):
            return _sent_reasoning(f"rs_{suffix}", json)
        case _:
            return None


def mcp_call(
    session_id: SessionId,
    message_id: MessageId,
    index: int,
    call: ToolCallPart,
    result: Part | None,
) -> dict[str, Any]:
    """The item for the call of a tool that the service runs; ``result`` is None while it runs."""
    document = {
        "id": f"mcp_{_suffix(session_id, message_id, index)}",
        "type": "mcp_call",
        "server_label": call.server,
        "name": call.name,
        "arguments": call.arguments,
        "approval_request_id": None,
        "output": None,
        "error": None,
        "status": "in_progress",
    }
    if not isinstance(result, ToolResultPart):
        return document
    text = _text_of_output(result.output)
    if not result.failed:
        return document | {"output": text, "status": "completed"}
    content = [{"type": "text", "text": text}]
    error = {"type": "mcp_tool_execution_error", "content": content}
    return document | {"error": error, "status": "failed"}


def with_encrypted(item: dict[str, Any]) -> dict[str, Any]:
    """The item; reasoning without encrypted content gets null as such."""
    return {"encrypted_content": None, **item} if item["type"] == "reasoning" else item


def output_text(text: str) -> dict[str, Any]:
    """Text of the assistant, as a content part."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def summary_text(text: str) -> dict[str, Any]:
    """Reasoning of the model, as a part of a summary."""
    return {"type": "summary_text", "text": text}


def _items(session_id: SessionId, message: Message) -> Iterator[Item]:
    if message.role is not Role.ASSISTANT:
        contents = (_user_content(part) for part in message.parts)
        content = [document for document in contents if document is not None]
        if content:
            item_id = _MESSAGE + message.id.removeprefix(_MESSAGE)
            document = _message(item_id, message.role.value, content, "completed")
            yield Item(document=document, message_id=message.id, part_index=None)
        return
    status = "completed" if message.status is MessageStatus.FINISHED else "incomplete"
    for index, document in reply_items(session_id, message.id, message.parts, status):
        yield Item(document=document, message_id=message.id, part_index=index)


def _suffix(session_id: SessionId, message_id: MessageId, index: int) -> str:
    return f"{UUID(session_id).hex}{message_id.removeprefix(_MESSAGE)}_{index}"


def _user_content(part: Part) -> dict[str, Any] | None:
    match part:
        case TextPart(text):
            return {"type": "input_text", "text": text}
        case ImagePart():
            return {"type": "input_image", "image_url": part.data_url, "detail": part.detail}
        case FilePart():
            return {"type": "input_file", "file_url": part.url, "filename": part.name}
        case _:
            return None


def _message(item_id: str, role: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "status": status, "content": content}


def _tool_result(item_id: str, part: ToolResultPart) -> dict[str, Any]:
    document = {"id": item_id, "type": "function_call_output", "call_id": part.call_id}
    output = Raw(part.output.encode()) if _is_output(part.output) else part.output
    return {**document, "output": output, "status": "completed"}


def _is_output(json: str) -> bool:
    """Whether the result of a tool is an output as OpenAI defines it, which can be sent again."""
    try:
        msgspec.json.decode(json, type=FunctionOutput)
    except msgspec.DecodeError:
        return False
    return True


def _text_of_output(json: str) -> str:
    """The result of a tool as text: a JSON string as itself, and any other JSON as it is."""
    try:
        return msgspec.json.decode(json, type=str)
    except msgspec.DecodeError:
        return json


def _sent_reasoning(item_id: str, json: str) -> dict[str, Any] | None:
    """A reasoning item as its client sent it, with the client's id if it had one."""
    document = msgspec.json.decode(json)
    if not isinstance(document, dict) or document.get("type") != "reasoning":
        return None
    return {"id": item_id, **document}
