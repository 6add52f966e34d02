"""The bodies that the AI SDK's ``DefaultChatTransport`` posts.

Source: ``HttpChatTransport`` of ``ai`` 5 to 7.

The server owns the history, so it reads only the newest message in a body: its text, or its tool
results. Unknown members belong to the app and are ignored.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, TypeGuard

import msgspec
from msgspec import Meta, Raw, Struct

from domain.model.errors import InvalidInput
from domain.model.identifiers import MessageId, message_id
from domain.model.limits import HIGHEST_MESSAGE_CHARACTERS, MessageLimit
from domain.model.message import ImagePart, Part, TextPart, ToolResultPart, UnknownPart, utf8_length
from domain.service.user_images import ImagePolicy
from domain.service.user_input import user_text
from entrypoints.http.images import check_image_count, read_image
from entrypoints.http.member_types import NOT_BLANK, ChatIdText
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import (
    LocaleMember,
    OnBusyMember,
    PageContextMember,
    message_body_bytes,
    parse,
)
from entrypoints.http.tool_calls import client_failure, client_result, compact_json

MAX_AI_SDK_BODY_BYTES: Final = 2_097_152
"""The client sends the whole chat each time, although only its newest message counts."""

_MAX_MESSAGES: Final = 2_000
_MAX_PARTS: Final = 2_000
_MAX_CHAT_ID: Final = 256
_ID_DIGITS: Final = 32

MAX_METADATA_BYTES: Final = 4_096
_METADATA: Final = '{"type":"data-metadata","data":'
"""How the JSON of a part begins that stores the metadata of a user's UI message."""

_NO_METADATA: Final = ("null", "{}")


_TEXT: Final = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {
        "type": {"const": "text"},
        "text": {"type": "string", "maxLength": HIGHEST_MESSAGE_CHARACTERS, "pattern": NOT_BLANK},
    },
}
_TOOL_RESULT: Final = {
    "type": "object",
    "required": ["type", "toolCallId", "state", "output"],
    "properties": {
        "type": {"type": "string", "pattern": "^tool-"},
        "toolCallId": {"type": "string"},
        "state": {"const": "output-available"},
        "output": {"description": "JSON of at most 32,768 bytes."},
    },
}
_UI_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["role", "parts"],
    "properties": {"id": {"type": "string"}},
    "anyOf": [
        {
            "title": "UserMessage",
            "properties": {
                "role": {"const": "user"},
                "parts": {"type": "array", "minItems": 1, "maxItems": _MAX_PARTS, "items": _TEXT},
            },
        },
        {
            "title": "AssistantMessage",
            "description": "A reply whose tool calls have results.",
            "properties": {
                "role": {"const": "assistant"},
                "parts": {"type": "array", "maxItems": _MAX_PARTS, "items": _TOOL_RESULT},
            },
        },
    ],
}
UiMessageMember = Annotated[Raw, Meta(extra_json_schema=_UI_MESSAGE)]


class AiSdkBody(Struct, rename="camel"):
    """A request body of `useChat`; other members are ignored."""

    further_schema: ClassVar = {
        "anyOf": [
            {"required": ["messages"], "properties": {"messages": {"minItems": 1}}},
            {"required": ["message"]},
        ]
    }

    id: ChatIdText
    messages: Annotated[
        list[UiMessageMember],
        Meta(max_length=_MAX_MESSAGES, description="UI messages; only the newest counts."),
    ] = msgspec.field(default_factory=list)
    message: Annotated[UiMessageMember, Meta(description="The newest UI message alone.")] = (
        msgspec.field(default_factory=Raw)
    )
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Annotated[
        str | None, Meta(description="The message that is edited, continued or replaced.")
    ] = None
    last_message_id: Annotated[
        str | None,
        Meta(description="The newest message that the client shows, if a message is edited."),
    ] = None
    force: Annotated[
        bool, Meta(description="Whether newer messages of other tabs may be deleted.")
    ] = False
    continues: Annotated[
        bool, Meta(description="Whether to continue the last reply, which ended early.")
    ] = msgspec.field(default=False, name="continue")
    locale: LocaleMember | None = None
    context: PageContextMember = msgspec.field(default_factory=Raw)
    on_busy: OnBusyMember = None

    @property
    def is_regeneration(self) -> bool:
        """Whether the body requests another reply instead of sending a message."""
        return self.trigger == "regenerate-message"


class UiMessage(Struct):
    """A message in the client's format."""

    role: Literal["user", "assistant", "system"]
    parts: Annotated[list[Raw], Meta(max_length=_MAX_PARTS)]
    id: str = ""
    metadata: Raw = msgspec.field(default_factory=lambda: Raw(b"null"))


class _BodyOutline(Struct):
    """The members that show which protocol a body belongs to."""

    message: Raw = msgspec.field(default_factory=Raw)
    messages: Raw = msgspec.field(default_factory=Raw)


class _MessageRole(Struct):
    role: str


class _PartType(Struct):
    type: str


class _TextPart(Struct):
    text: str


class _FilePart(Struct, rename="camel"):
    media_type: str
    url: str


class _ToolPart(Struct, rename="camel"):
    tool_call_id: str
    state: str = ""
    output: Raw = msgspec.field(default_factory=lambda: Raw(b"null"))
    error_text: str = ""
    provider_executed: bool | None = None


def chat_body_limit(limit: MessageLimit, beginning: bytes) -> int:
    """The size limit of a body with this beginning; higher if it contains ``"messages"``."""
    return MAX_AI_SDK_BODY_BYTES if b'"messages"' in beginning else message_body_bytes(limit)


def is_ai_sdk(raw: bytes) -> bool:
    """Whether this is an AI SDK body: ``message`` is an object, or ``messages`` is a list."""
    try:
        outline = msgspec.json.decode(raw, type=_BodyOutline)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    message, messages = bytes(outline.message), bytes(outline.messages)
    return message.startswith(b"{") or (messages.startswith(b"[") and not message)


def read_ai_sdk(raw: bytes) -> AiSdkBody:
    """The parsed body.

    Raises:
        BadRequest: ``body_not_json`` or ``body_invalid``.
        InvalidInput: ``chat_id_malformed``.
    """
    body = parse(raw, AiSdkBody)
    # A slash would make the paths with this id ambiguous.
    if not 0 < len(body.id) <= _MAX_CHAT_ID or "/" in body.id:
        why = f"A chat id has 1 to {_MAX_CHAT_ID} characters and no slash."
        raise InvalidInput("chat_id_malformed", why, field="id")
    return body


def newest_message(body: AiSdkBody) -> UiMessage | None:
    """The newest message in the body; None if there is none.

    In a regeneration, the result is also None if that message is not from the user.

    Raises:
        BadRequest: the message is malformed.
    """
    newest = body.message if bytes(body.message) else body.messages[-1] if body.messages else None
    if newest is None:
        return None
    message = parse(bytes(newest), UiMessage)
    return None if body.is_regeneration and message.role != "user" else message


def has_earlier_user_message(body: AiSdkBody) -> bool:
    """Whether the body contains a user message before the newest message."""
    return any(_role_of(raw) == "user" for raw in body.messages[:-1])


def reject_system_messages(body: AiSdkBody) -> None:
    """Reject a body with a system message, because only the newest message would be used.

    Raises:
        BadRequest: ``parameter_unsupported``.
    """
    name = "message" if bytes(body.message) else "messages"
    if any(_role_of(raw) == "system" for raw in (*body.messages, body.message)):
        why = (
            "System messages are not accepted, because the operator writes the system prompt. "
            "Send data about the page as 'context'."
        )
        raise BadRequest("parameter_unsupported", why, field=name)


def _role_of(raw: Raw) -> str | None:
    """The role of a message; None if the message is malformed."""
    try:
        return msgspec.json.decode(raw, type=_MessageRole).role
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def user_parts(message: UiMessage, policy: ImagePolicy, limit: MessageLimit) -> tuple[Part, ...]:
    """The text and the images of the message, in order.

    Text parts that follow each other are joined by newlines. Only a message with images may have no
    text.

    Raises:
        BadRequest: a part is malformed, or is a file other than an image; see ``read_image`` and
            ``check_image_count``.
        InvalidInput: see ``user_text``.
    """
    contents = [*_contents(message, policy)]
    images = [content for content in contents if isinstance(content, ImagePart)]
    check_image_count(images, field="parts")
    text = "\n".join(content for content in contents if isinstance(content, str))
    if text.strip() or not images:
        user_text(text, limit)
    return tuple(_joined(contents))


def metadata_of(message: UiMessage) -> tuple[UnknownPart, ...]:
    """The part that stores the metadata of the app; empty if the message has none.

    Raises:
        BadRequest: ``parameter_too_long``.
    """
    json = compact_json(message.metadata)
    if json in _NO_METADATA:
        return ()
    if utf8_length(json) > MAX_METADATA_BYTES:
        why = f"The metadata of a message has at most {MAX_METADATA_BYTES:,} bytes of JSON."
        raise BadRequest("parameter_too_long", why, field="metadata")
    return (UnknownPart(_METADATA + json + "}"),)


def is_metadata(part: Part) -> TypeGuard[UnknownPart]:
    """Whether the part stores the metadata of a user's UI message."""
    return isinstance(part, UnknownPart) and part.json.startswith(_METADATA)


def _contents(message: UiMessage, policy: ImagePolicy) -> Iterator[str | ImagePart]:
    for index, (kind, raw) in enumerate(_parts(message)):
        if kind == "text":
            yield parse(raw, _TextPart).text
        elif kind == "file":
            yield _image(parse(raw, _FilePart), policy, f"parts[{index}]")


def _joined(contents: Sequence[str | ImagePart]) -> Iterator[Part]:
    """The contents; texts that follow each other become one part, or none if they are blank."""
    texts: list[str] = []
    for content in (*contents, None):
        if isinstance(content, str):
            texts.append(content)
            continue
        text = "\n".join(texts)
        texts.clear()
        if text.strip():
            yield TextPart(text)
        if content is not None:
            yield content


def _image(file: _FilePart, policy: ImagePolicy, field: str) -> ImagePart:
    if not file.media_type.lower().startswith("image/"):
        why = "Messages contain only text and images; other files are not accepted."
        raise BadRequest("body_invalid", why, field=field)
    return read_image(file.url, policy, field=field)


def tool_results_of(message: UiMessage) -> Sequence[ToolResultPart]:
    """All results of the client's tools in the message, including those that we already have.

    Raises:
        BadRequest: a part is malformed.
        InvalidInput: ``tool_result_too_long``.
    """
    tools = (raw for kind, raw in _parts(message) if _is_tool(kind))
    parts = (parse(raw, _ToolPart) for raw in tools)
    results = (_result(part) for part in parts if not part.provider_executed)
    return tuple(result for result in results if result is not None)


def _is_tool(kind: str) -> bool:
    return kind.startswith("tool-") or kind == "dynamic-tool"


def _parts(message: UiMessage) -> Iterator[tuple[str, bytes]]:
    for raw in message.parts:
        yield parse(bytes(raw), _PartType).type, bytes(raw)


def _result(tool: _ToolPart) -> ToolResultPart | None:
    match tool.state:
        case "output-available":
            return client_result(tool.tool_call_id, tool.output)
        case "output-error":
            return client_failure(tool.tool_call_id, tool.error_text)
        case _:
            return None


def storable_id(client_id: str) -> MessageId | None:
    """The id to store a message under; None if the client sent none.

    A malformed id is replaced by its digest, so that the client can keep using it.
    """
    if not client_id:
        return None
    try:
        return message_id(client_id)
    except InvalidInput:
        digest = hashlib.sha256(client_id.encode("utf-8", "surrogatepass")).hexdigest()
        return MessageId(digest[:_ID_DIGITS])
