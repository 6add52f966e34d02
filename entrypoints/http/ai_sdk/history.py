"""A conversation as UI messages of the AI SDK; a page initialises ``useChat`` with them.

The parts are those that the client would have built from the stream. Members are omitted rather
than null, because the AI SDK's validation rejects null.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from domain.model.conversation import Conversation
from domain.model.message import (
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.service.server_calls import call_results
from entrypoints.http.ai_sdk.bodies import is_metadata
from entrypoints.http.documents import (
    Document,
    finish_reason_member,
    message_counts,
    usage_document,
)
from entrypoints.http.member_types import Timestamp
from entrypoints.http.tool_calls import NOT_JSON, tool_error_text, tool_input, tool_output
from entrypoints.http.ui_message_stream import source_chunk

_STEP = {"type": "step-start"}


class _StoredMetadata(Struct):
    data: Raw


class AiSdkHistoryDocument(Document):
    """A conversation in the AI SDK's format; ``messages`` are UI messages."""

    id: Annotated[str, Meta(description="The id in the path.")]
    session_id: str
    locale: str
    metadata: dict[str, str]
    messages: list[dict[str, Any]]
    active_stream_id: Annotated[
        str | None, Meta(description="The turn whose reply is being written.")
    ]
    expires_at: Timestamp


def ai_sdk_history(chat_id: str, conversation: Conversation) -> AiSdkHistoryDocument:
    """The whole conversation without instructions; ``chat_id`` is the client's id for it."""
    open_turn = conversation.open_turn
    dialogue = [message for message in conversation.messages if not message.is_instruction]
    return AiSdkHistoryDocument(
        id=chat_id,
        session_id=conversation.id,
        locale=conversation.locale,
        metadata=dict(conversation.metadata),
        messages=[_ui_message(message, conversation) for message in dialogue],
        active_stream_id=open_turn.id if open_turn else None,
        expires_at=conversation.expires_at,
    )


def _ui_message(message: Message, conversation: Conversation) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role.value,
        "metadata": _metadata(message, conversation),
        "parts": [*_ui_parts(message)],
    }


def _metadata(message: Message, conversation: Conversation) -> Any:
    """Our metadata, and that of the app for a user's message, which is never changed."""
    ours = _own_metadata(message, conversation)
    stored = [part.json for part in message.parts if is_metadata(part)]
    if not stored:
        return ours
    theirs = msgspec.json.decode(stored[-1], type=_StoredMetadata).data
    if not bytes(theirs).startswith(b"{"):
        return theirs
    return {**ours, **msgspec.json.decode(theirs, type=dict[str, Raw])}


def _own_metadata(message: Message, conversation: Conversation) -> dict[str, Any]:
    usage = usage_document(message.usage)
    return {
        "sessionId": conversation.id,
        "createdAt": message.created_at,
        **finish_reason_member(message.finish_reason),
        **({"usage": usage} if usage else {}),
        **message_counts(message.prompt_report),
        **({"aborted": True} if message.status is MessageStatus.INTERRUPTED else {}),
        **({"failed": True} if message.status is MessageStatus.FAILED else {}),
    }


def _ui_parts(message: Message) -> Iterator[dict[str, Any]]:
    results = _results(message.parts)
    if message.role is Role.ASSISTANT and message.turn:
        yield _STEP
    for index, part in enumerate(message.parts):
        if isinstance(part, ToolCallPart):
            yield _tool(part, results.get(index), message.status)
        elif not is_metadata(part):
            yield from _ui_part(part)


def _results(parts: Sequence[Part]) -> Mapping[int, ToolResultPart]:
    """The results of the calls, by the indexes of the calls."""
    pairs = ((call, parts[result]) for call, result in call_results(parts).items())
    return {call: part for call, part in pairs if isinstance(part, ToolResultPart)}


def _ui_part(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case TextPart(text):
            yield {"type": "text", "text": text, "state": "done"}
        case ReasoningPart(text):
            yield {"type": "reasoning", "text": text, "state": "done"}
        case SourcePart():
            yield source_chunk(part)
        case ImagePart() | FilePart():
            yield _file(part)
        case StepMark():
            yield _STEP
        case UnknownPart(json):
            yield {"type": "data-unknown", "data": Raw(json.encode())}
        case ToolCallPart() | ToolResultPart():
            return


def _file(part: ImagePart | FilePart) -> dict[str, Any]:
    if isinstance(part, ImagePart):
        return {"type": "file", "url": part.data_url, "mediaType": part.media_type}
    name = {} if part.name is None else {"filename": part.name}
    return {"type": "file", "url": part.url, "mediaType": part.media_type, **name}


def _tool(
    call: ToolCallPart, result: ToolResultPart | None, status: MessageStatus
) -> dict[str, Any]:
    """The part of a call and its result; ``result`` is None if it has none.

    A client must not run a tool for a reply that was stopped or failed.
    """
    tool = _named(call)
    try:
        tool["input"] = tool_input(call.arguments)
    except ValueError:
        # The client keeps text that is not JSON as the input of a tool that it does not know.
        tool["rawInput" if call.server is None else "input"] = call.arguments
        if result is None and status is MessageStatus.FINISHED:
            return {**tool, "state": "output-error", "errorText": NOT_JSON}
    if result is None and status is not MessageStatus.FINISHED:
        return {**tool, "rawInput": call.arguments, "state": "input-streaming"}
    if result is None:
        return {**tool, "state": "input-available"}
    if result.failed:
        return {**tool, "state": "output-error", "errorText": tool_error_text(result)}
    return {**tool, "state": "output-available", "output": tool_output(result)}


def _named(call: ToolCallPart) -> dict[str, Any]:
    if call.server is None:
        return {"type": f"tool-{call.name}", "toolCallId": call.call_id}
    return {
        "type": "dynamic-tool",
        "toolName": call.name,
        "toolCallId": call.call_id,
        "providerExecuted": True,
    }
