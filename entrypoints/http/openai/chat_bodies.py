"""The JSON body of ``POST /v1/chat/completions``, as OpenAI defines it and as far as supported.

Members that are not declared here are ignored; null counts as not sent.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from domain.model.limits import MAX_PARAMETER_BYTES, MAX_TOOLS_BYTES
from domain.model.message import ImageDetail
from domain.model.prompt import Effort, Verbosity
from entrypoints.http.member_types import Metadata
from entrypoints.http.openai.bodies import (
    MAX_CONTENT_PARTS,
    MAX_INPUT_ITEMS,
    MAX_TOOLS,
    ConversationChoice,
    StreamOptions,
    invalid_body,
    is_empty,
)
from entrypoints.http.openai.errors import too_long, unsupported
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import is_missing, parse

MAX_STOP_TEXTS: Final = 4
_MAX_EMPTY_BYTES: Final = 64
_MAX_SEED: Final = 2**63 - 1


class ChatText(Struct, tag_field="type", tag="text"):
    """Text within a message."""

    text: str


class ChatRefusal(Struct, tag_field="type", tag="refusal"):
    """The refusal of an assistant, as text."""

    refusal: str


class ImageUrl(Struct):
    """An image."""

    url: Annotated[str, Meta(description="A data URL.")]
    detail: ImageDetail | None = None


class ChatImage(Struct, tag_field="type", tag="image_url"):
    """An image within a message of the user."""

    image_url: ImageUrl


ChatTexts = Annotated[list[ChatText], Meta(min_length=1, max_length=MAX_CONTENT_PARTS)]
UserContent = Annotated[
    list[ChatText | ChatImage], Meta(min_length=1, max_length=MAX_CONTENT_PARTS)
]


class SystemMessage(Struct, tag_field="role", tag="system"):
    """Instructions for the model."""

    content: str | ChatTexts


class DeveloperMessage(Struct, tag_field="role", tag="developer"):
    """Instructions for the model, under the newer name."""

    content: str | ChatTexts


class UserMessage(Struct, tag_field="role", tag="user"):
    """A message of a person."""

    content: (
        str
        | Annotated[list[ChatText | ChatImage], Meta(min_length=1, max_length=MAX_CONTENT_PARTS)]
    )


class CalledFunction(Struct):
    """The function of a tool call."""

    name: str
    arguments: Annotated[str, Meta(description="JSON text.")]


class ChatToolCall(Struct, kw_only=True):
    """A function call that the model made."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(Struct, tag_field="role", tag="assistant"):
    """An earlier reply of the model."""

    content: (
        str | Annotated[list[ChatText | ChatRefusal], Meta(max_length=MAX_CONTENT_PARTS)] | None
    ) = None
    refusal: str | None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[ChatToolCall], Meta(max_length=MAX_TOOLS)] | None = None


class ToolMessage(Struct, tag_field="role", tag="tool"):
    """The output of a function."""

    tool_call_id: str
    content: str | Annotated[list[ChatText], Meta(max_length=MAX_CONTENT_PARTS)]


ChatMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class FunctionDefinition(Struct):
    """A function that the model may call; the client runs it."""

    name: str
    description: str | None = None
    parameters: Annotated[dict[str, Any], Meta(description="JSON Schema.")] | None = None
    strict: bool | None = None


class ChatTool(Struct):
    """A tool; only functions are supported."""

    type: Literal["function"]
    function: FunctionDefinition


class ChosenFunction(Struct):
    """The name of a function."""

    name: str


class ChatToolChoice(Struct):
    """The function that the model must call."""

    type: Literal["function"]
    function: ChosenFunction


class JsonSchemaFormat(Struct):
    """The schema of the reply."""

    name: str
    schema: Annotated[dict[str, Any], Meta(description="JSON Schema.")] | None = None
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(Struct):
    """The format of the reply; ``json_schema`` is required for the type of that name."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class ChatStreamOptions(StreamOptions):
    """How a completion is streamed."""

    include_usage: bool | None = None


class CompletionBody(Struct):
    """The parameters of a chat completion."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=MAX_INPUT_ITEMS)]
    conversation: (
        Annotated[
            str | ConversationChoice,
            Meta(description="Privity's own: the conversation to reply in, which is stored."),
        ]
        | None
    ) = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    metadata: Annotated[Metadata, Meta(description="Ignored.")] | None = None
    modalities: list[Literal["text"]] | None = None
    model: Annotated[str, Meta(description="Ignored.")] | None = None
    n: Literal[1] | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    prompt_cache_key: Annotated[str, Meta(description="Ignored.")] | None = None
    reasoning_effort: Effort | None = None
    response_format: ResponseFormat | None = None
    safety_identifier: Annotated[str, Meta(description="Ignored.")] | None = None
    seed: Annotated[int, Meta(ge=-_MAX_SEED, le=_MAX_SEED)] | None = None
    service_tier: Literal["auto", "default"] | None = None
    stop: str | Annotated[list[str], Meta(max_length=MAX_STOP_TEXTS)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: Literal["auto", "none", "required"] | ChatToolChoice | None = None
    tools: Annotated[list[ChatTool], Meta(max_length=MAX_TOOLS)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: Annotated[str, Meta(description="Ignored.")] | None = None
    verbosity: Verbosity | None = None


UNSUPPORTED_CHAT_PARAMETERS: Final = (
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "moderation",
    "prediction",
    "prompt_cache_options",
    "prompt_cache_retention",
    "top_logprobs",
    "web_search_options",
)
"""Parameters of a completion that OpenAI defines and this service does not support."""

_NAMES_HERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "input": "messages",
        "instructions": "messages",
        "max_output_tokens": "max_completion_tokens",
        "previous_response_id": "conversation",
        "reasoning": "reasoning_effort",
        "text": "response_format",
    }
)
"""Parameters of ``/v1/responses``, and what they are called here."""


def parse_completion_body(raw: bytes) -> CompletionBody:
    """The parameters of a completion.

    Raises:
        BadRequest: ``parameter_unsupported`` for a parameter or a value that is not supported,
            ``parameter_too_long`` for a parameter that is too long, ``body_not_json``, and
            ``body_invalid`` for any other mistake. The message does not repeat the content.
    """
    members = parse(raw, dict[str, Raw])
    _check_sizes(members)
    for name in UNSUPPORTED_CHAT_PARAMETERS:
        if name in members and not _is_empty(members[name]):
            raise unsupported(name)
    for name, name_here in _NAMES_HERE.items():
        if not is_missing(members.get(name, Raw())):
            why = f"'{name}' is a parameter of /v1/responses; use '{name_here}' here."
            raise unsupported(name, why)
    # A search is switched on even by an object without members, which otherwise counts as empty.
    if not is_missing(members.get("web_search_options", Raw())):
        raise unsupported("web_search_options")
    body: CompletionBody = _decoded(raw, CompletionBody)
    return body


def _check_sizes(members: Mapping[str, Raw]) -> None:
    for name in CompletionBody.__struct_fields__:
        limit = MAX_TOOLS_BYTES if name == "tools" else MAX_PARAMETER_BYTES
        if name != "messages" and len(members.get(name, Raw())) > limit:
            raise too_long(name, limit)


def _is_empty(json: Raw) -> bool:
    return len(json) <= _MAX_EMPTY_BYTES and is_empty(_decoded(json, Any))


def _decoded(json: bytes | Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(json, type=kind)
    except msgspec.ValidationError as error:
        # The cause may repeat what was sent.
        raise invalid_body(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("body_not_json") from None
