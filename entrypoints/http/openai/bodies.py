"""The JSON bodies of ``/v1``, as OpenAI defines them and as far as this service supports them.

Members that are not declared here are ignored; null counts as not sent.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from domain.model.limits import MessageLimit
from domain.model.message import ImageDetail
from domain.model.prompt import Effort, Verbosity
from entrypoints.http.member_types import Metadata
from entrypoints.http.openai.errors import invalid, unsupported
from entrypoints.http.openai.parameters import (
    MESSAGES_SEEN,
    check_include,
    reject_chat_parameters,
    reject_unknown_members,
)
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import message_body_bytes

_Body = TypeVar("_Body")

MAX_ITEMS_BODY_BYTES: Final = 1_048_576
"""The limit on bodies with items: a client may send its whole history, with long replies."""
MAX_INPUT_ITEMS: Final = 2_000
"""As many as messages in a body of the AI SDK: the client may send its whole history."""
MAX_ITEMS: Final = 20
"""How many items can be added to a conversation at once, as OpenAI defines it."""
MAX_CONTENT_PARTS: Final = 256
MAX_TOOLS: Final = 128


class TextContent(Struct, tag_field="type"):
    """Text within a message or the output of a function."""

    text: str


class InputText(TextContent, tag="input_text"):
    """Text that was sent to a model."""


class OutputText(TextContent, tag="output_text"):
    """Text that a model wrote."""


class PlainText(TextContent, tag="text"):
    """Text of either."""


class SummaryText(TextContent, tag="summary_text"):
    """A summary of a model's reasoning."""


class ReasoningText(TextContent, tag="reasoning_text"):
    """A model's reasoning."""


class RefusalContent(Struct, tag_field="type", tag="refusal"):
    """Text with which a model refused to answer."""

    refusal: str


class InputImage(Struct, tag_field="type", tag="input_image"):
    """An image in a message of the user."""

    image_url: Annotated[str, Meta(description="A data URL.")] | None = None
    detail: ImageDetail | None = None
    file_id: Annotated[str, Meta(description="Not supported.")] | None = None


OutputContent = InputText | OutputText | PlainText
FunctionOutput = str | Annotated[list[OutputContent], Meta(max_length=MAX_CONTENT_PARTS)]
TextualContent = OutputContent | SummaryText | ReasoningText | RefusalContent
MessageContent = TextualContent | InputImage


class MessageItem(Struct, tag_field="type", tag="message"):
    """A message; its ``type`` may be left out."""

    further_schema: ClassVar = {
        "required": ["role", "content"],
        "properties": {"type": {"enum": ["message", None]}},
    }

    role: Literal["user", "assistant", "system", "developer"]
    content: (
        str
        | Annotated[
            list[MessageContent],
            Meta(max_length=MAX_CONTENT_PARTS, description="Only the assistant's may be empty."),
        ]
    )


class FunctionCallItem(Struct, tag_field="type", tag="function_call"):
    """A function call that the model made."""

    call_id: str
    name: str
    arguments: Annotated[str, Meta(description="JSON text.")]


class FunctionCallOutputItem(Struct, tag_field="type", tag="function_call_output"):
    """The output of a function."""

    call_id: str
    output: FunctionOutput


class McpCallItem(Struct, tag_field="type", tag="mcp_call"):
    """The call of a tool that the service ran; it is not run again."""

    id: str
    server_label: str
    name: str
    arguments: Annotated[str, Meta(description="JSON text.")]
    output: str | None = None
    error: Annotated[str | dict[str, Any], Meta(description="Why the call failed.")] | None = None


class ReasoningItem(Struct, tag_field="type", tag="reasoning"):
    """Reasoning of a model, stored with all its members; the model does not see it."""


class ItemReference(Struct, tag_field="type", tag="item_reference"):
    """An item that the conversation already has; its ``type`` may be left out."""

    further_schema: ClassVar = {
        "required": ["id"],
        "properties": {"type": {"enum": ["item_reference", None]}},
    }

    id: str


ItemBody = (
    MessageItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | McpCallItem
    | ReasoningItem
    | ItemReference
)


class ConversationBody(Struct):
    """A new conversation."""

    items: Annotated[list[ItemBody], Meta(max_length=MAX_ITEMS)] | None = None
    metadata: Metadata | None = None


class MetadataBody(Struct):
    """The new metadata of a conversation."""

    metadata: Metadata | None


class ItemsBody(Struct):
    """Items to append."""

    items: Annotated[list[ItemBody], Meta(min_length=1, max_length=MAX_ITEMS)]


class FunctionTool(Struct):
    """A function that the model may call; the client runs it."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: Annotated[dict[str, Any], Meta(description="JSON Schema.")] | None = None
    strict: bool | None = None


class FunctionChoice(Struct):
    """The function that the model must call."""

    type: Literal["function"]
    name: str


Summary = Annotated[Literal["auto", "concise", "detailed"], Meta(description="Ignored.")]


class ReasoningOptions(Struct):
    """How the model reasons."""

    effort: Effort | None = None
    summary: Summary | None = None
    generate_summary: Summary | None = None


class TextFormat(Struct):
    """The format of the text; ``json_schema`` requires ``name`` and ``schema``."""

    type: Literal["text", "json_object", "json_schema"] | None = None
    name: str | None = None
    schema: Annotated[dict[str, Any], Meta(description="JSON Schema.")] | None = None
    strict: bool | None = None
    description: str | None = None


class TextOptions(Struct):
    """Options for the text that the model writes."""

    format: TextFormat | None = None
    verbosity: Verbosity | None = None


class StreamOptions(Struct):
    """How a response is streamed."""

    include_obfuscation: bool | None = None


class ConversationChoice(Struct):
    """The conversation to reply in."""

    id: str


class ResponseBody(Struct):
    """The parameters of a response."""

    background: bool | None = None
    conversation: str | ConversationChoice | None = None
    include: list[Literal["reasoning.encrypted_content"]] | None = None
    input: str | Annotated[list[ItemBody], Meta(max_length=MAX_INPUT_ITEMS)] | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] | None = None
    max_tool_calls: (
        Annotated[int, Meta(ge=0, description="Counts calls of tools that the service runs.")]
        | None
    ) = None
    metadata: Metadata | None = None
    model: Annotated[str, Meta(description="Ignored.")] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt_cache_key: (
        Annotated[str, Meta(description="Names requests that each hold the whole history.")] | None
    ) = None
    prompt_cache_retention: (
        Annotated[Literal["in_memory", "in-memory", "24h"], Meta(description="Ignored.")] | None
    ) = None
    reasoning: ReasoningOptions | None = None
    safety_identifier: Annotated[str, Meta(description="Ignored.")] | None = None
    service_tier: Literal["auto", "default"] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    text: TextOptions | None = None
    tool_choice: Literal["auto", "none", "required"] | FunctionChoice | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=MAX_TOOLS)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: Annotated[str, Meta(description="Ignored.")] | None = None


UNSUPPORTED_PARAMETERS: Final = (
    "access_programs",
    "background_options",
    "context_management",
    "image",
    "moderation",
    "prompt",
    "prompt_cache_options",
    "top_logprobs",
)
"""Parameters of a response that OpenAI defines and this service does not support."""

_MAX_PATH: Final = 500
_EMPTY: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})
# OpenAI may define types of items, tools and content that are not declared here.
_TYPE_IN_LIST: Final = re.compile(r".*\]\.type")
# msgspec's message has a path unless the body as a whole is invalid.
_VALIDATION_ERROR: Final = re.compile(
    r"(?P<what>.*?)(?: - at `(?:key` in `)?\$\.?(?P<path>[\w.\[\]]*?)(?:\[\.\.\.\])?`)?", re.DOTALL
)
_MISSING_FIELD: Final = re.compile(r"Object missing required field `(\w+)`")


def items_body_bytes(limit: MessageLimit) -> int:
    """``MAX_ITEMS_BODY_BYTES``, or more if one message may need more."""
    return max(MAX_ITEMS_BODY_BYTES, message_body_bytes(limit))


def parse(members: Mapping[str, Any], kind: type[_Body]) -> _Body:
    """``members``, converted to a ``kind``.

    Raises:
        BadRequest: ``parameter_unsupported`` for a value that is not declared, ``body_invalid`` for
            any other mistake. The message does not repeat the content.
    """
    typed = {name: _with_types(members[name]) for name in ("input", "items") if name in members}
    try:
        return msgspec.convert({**members, **typed}, kind)
    except msgspec.ValidationError as error:
        # The cause may repeat what was sent.
        raise invalid_body(str(error)) from None


def parse_response_body(members: Mapping[str, Any]) -> ResponseBody:
    """The parameters of a response.

    Raises:
        BadRequest: see ``parse``; also ``parameter_unsupported`` for an unsupported parameter with
            a value that is not empty.
    """
    reject_unsupported(members, UNSUPPORTED_PARAMETERS)
    reject_chat_parameters(members)
    reject_unknown_members(members)
    include = members.get("include")
    if isinstance(include, list):
        check_include(include)
    choice = members.get("tool_choice")
    is_function = isinstance(choice, dict) and choice.get("type") == "function"
    if not (choice is None or isinstance(choice, str) or is_function):
        raise unsupported("tool_choice")
    return parse(_without_own_metadata(members), ResponseBody)


def _without_own_metadata(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """The members without what this service added to the metadata of an earlier response."""
    metadata = members.get("metadata")
    if not isinstance(metadata, dict) or MESSAGES_SEEN not in metadata:
        return members
    own = {name: value for name, value in metadata.items() if name != MESSAGES_SEEN}
    return {**members, "metadata": own}


def reject_unsupported(members: Mapping[str, Any], names: Iterable[str], *, path: str = "") -> None:
    """Reject unsupported members whose value is not empty; ``path`` is that of ``members``.

    Raises:
        BadRequest: ``parameter_unsupported``.
    """
    for name in names:
        if not is_empty(members.get(name)):
            raise unsupported(path + name)


def is_empty(value: Any) -> bool:
    """Whether a parameter with this value asks for nothing."""
    return value in _EMPTY


def _with_types(items: Any) -> Any:
    """The items; a message or a reference without a ``type`` gets one."""
    if not isinstance(items, list) or len(items) > MAX_INPUT_ITEMS:
        return items
    return [_with_type(item) if isinstance(item, dict) else item for item in items]


def _with_type(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("type") is not None:
        return item
    is_reference = "id" in item and "role" not in item
    return {**item, "type": "item_reference" if is_reference else "message"}


def invalid_body(message: str) -> BadRequest:
    """The error for a body, given the message of msgspec's error, which may repeat what was sent.

    A member that is declared as always null stands for something that is not supported.
    """
    # What was sent stands between its first words and the path.
    if len(message) > 2 * _MAX_PATH:
        message = message[:_MAX_PATH] + message[-_MAX_PATH:]
    match = _VALIDATION_ERROR.fullmatch(message)
    what, path = (match["what"], match["path"] or "") if match else ("", "")
    missing = _MISSING_FIELD.fullmatch(what)
    if missing:
        path = f"{path}.{missing[1]}" if path else missing[1]
    if what.startswith(("Invalid", "Expected `null`,")) or _TYPE_IN_LIST.fullmatch(path):
        return unsupported(path, f"This value of '{path}' is not supported by this service.")
    if what.startswith("Expected "):
        return invalid(path, what.removeprefix("Expected "))
    why = f"'{path}' is missing." if missing else "The body does not have the expected form."
    return BadRequest("body_invalid", why, field=path)
