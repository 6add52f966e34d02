"""The JSON bodies of ``/v1``, as OpenAI defines them and as far as this service supports them.

Members that are not declared here are ignored; null counts as absent.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from entrypoints.http.openai.errors import invalid, unsupported
from entrypoints.http.problems import BadRequest

_Body = TypeVar("_Body")

MAX_ITEMS: Final = 20
_NO_NUL: Final = "^[^\\u0000]*$"

Metadata = Annotated[
    dict[
        Annotated[str, Meta(max_length=64, pattern=_NO_NUL)],
        Annotated[str, Meta(max_length=512, pattern=_NO_NUL)],
    ],
    Meta(max_length=16),
]


class TextContent(Struct):
    """Text within a message or the output of a function."""

    type: Literal["input_text", "output_text", "text"]
    text: str


class MessageItem(Struct, tag_field="type", tag="message"):
    """A message; its ``type`` may be left out."""

    role: Literal["user", "assistant"]
    content: str | Annotated[list[TextContent], Meta(min_length=1)]


class FunctionCallItem(Struct, tag_field="type", tag="function_call"):
    """A function that the model asked for."""

    call_id: str
    name: str
    arguments: Annotated[str, Meta(description="JSON text.")]


class FunctionCallOutputItem(Struct, tag_field="type", tag="function_call_output"):
    """What a function returned."""

    call_id: str
    output: str | list[TextContent]


class ReasoningItem(Struct, tag_field="type", tag="reasoning"):
    """Reasoning of a model, stored with all its members; the model does not see it."""


ItemBody = MessageItem | FunctionCallItem | FunctionCallOutputItem | ReasoningItem


class ConversationBody(Struct):
    """A new conversation."""

    items: Annotated[list[ItemBody], Meta(max_length=MAX_ITEMS)] | None = None
    metadata: Metadata | None = None


class MetadataBody(Struct):
    """The metadata that replaces a conversation's."""

    metadata: Metadata | None


class ItemsBody(Struct):
    """Items to append."""

    items: Annotated[list[ItemBody], Meta(min_length=1, max_length=MAX_ITEMS)]


class FunctionTool(Struct):
    """A function that the model may ask for; the client runs it."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: Annotated[dict[str, Any], Meta(description="JSON Schema.")] | None = None
    strict: bool | None = None


class FunctionChoice(Struct):
    """The one function that the model must ask for."""

    type: Literal["function"]
    name: str


class ReasoningOptions(Struct):
    """How the model reasons."""

    effort: str | None = None


class TextFormat(Struct):
    """The format of the text; ``name`` and ``schema`` belong to ``json_schema``."""

    type: Literal["text", "json_object", "json_schema"] | None = None
    name: str | None = None
    schema: Annotated[dict[str, Any], Meta(description="JSON Schema.")] | None = None
    strict: bool | None = None
    description: str | None = None


class TextOptions(Struct):
    """How the model writes."""

    format: TextFormat | None = None
    verbosity: str | None = None


class StreamOptions(Struct):
    """How a response is streamed."""

    include_obfuscation: bool | None = None


class ConversationChoice(Struct):
    """The conversation of a response."""

    id: str


class ResponseBody(Struct):
    """The parameters of a response."""

    background: bool | None = None
    conversation: str | ConversationChoice | None = None
    input: str | list[ItemBody] | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] | None = None
    metadata: Metadata | None = None
    model: Annotated[str, Meta(description="Ignored.")] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt_cache_key: Annotated[str, Meta(description="Only echoed.")] | None = None
    reasoning: ReasoningOptions | None = None
    service_tier: Literal["auto", "default"] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    text: TextOptions | None = None
    tool_choice: Literal["auto", "none", "required"] | FunctionChoice | None = None
    tools: list[FunctionTool] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    truncation: Literal["auto"] | None = None


LACKING: Final = (
    "access_programs",
    "background_options",
    "context_management",
    "image",
    "include",
    "max_tool_calls",
    "moderation",
    "prompt",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "top_logprobs",
    "user",
)
"""Parameters of a response that OpenAI defines and this service does not support."""

_EMPTY: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})
_USE_INSTRUCTIONS: Final = " Use 'instructions' for what neither the user nor the assistant wrote."
# What a list holds that is not declared here may be something that OpenAI defines.
_SHAPE: Final = re.compile(r".*\]\.type")
# msgspec's messages say what is wrong and where; where nothing is said it is the body as a whole.
_VALIDATION_ERROR: Final = re.compile(
    r"(?P<what>.*?)(?: - at `(?:key` in `)?\$\.?(?P<path>[\w.\[\]]*?)(?:\[\.\.\.\])?`)?", re.DOTALL
)
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")


def parse(members: Mapping[str, Any], kind: type[_Body]) -> _Body:
    """The body that ``members`` hold.

    Raises:
        BadRequest: ``parameter_unsupported`` for a value that is not one of those declared,
            ``body_invalid`` for everything else; nothing of the content is repeated.
    """
    typed = {name: _with_types(members[name]) for name in ("input", "items") if name in members}
    try:
        return msgspec.convert({**members, **typed}, kind)
    except msgspec.ValidationError as error:
        # The cause may repeat what was sent.
        raise _refusal(str(error)) from None


def parse_response_body(members: Mapping[str, Any]) -> ResponseBody:
    """The parameters of a response.

    Raises:
        BadRequest: as in ``parse``; also for a parameter that this service does not support, unless
            its value is empty.
    """
    _reject_unsupported(members, LACKING)
    reasoning = members.get("reasoning")
    if isinstance(reasoning, dict):
        _reject_unsupported(reasoning, ("mode", "context"))
    choice = members.get("tool_choice")
    is_function = isinstance(choice, dict) and choice.get("type") == "function"
    if not (choice is None or isinstance(choice, str) or is_function):
        raise unsupported("tool_choice")
    return parse(members, ResponseBody)


def _reject_unsupported(members: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if members.get(name) not in _EMPTY:
            raise unsupported(name)


def _with_types(items: Any) -> Any:
    """The items, where one without a ``type`` is a message."""
    if not isinstance(items, list):
        return items
    return [{"type": "message", **item} if isinstance(item, dict) else item for item in items]


def _refusal(message: str) -> BadRequest:
    found = _VALIDATION_ERROR.fullmatch(message)
    what, path = (found["what"], found["path"] or "") if found else ("", "")
    lacks = _MISSING.fullmatch(what)
    if lacks:
        path = f"{path}.{lacks[1]}" if path else lacks[1]
    if what.startswith("Invalid") or _SHAPE.fullmatch(path):
        hint = _USE_INSTRUCTIONS if path.endswith(".role") else ""
        return unsupported(path, f"This value of '{path}' is not supported by this service.{hint}")
    if what.startswith("Expected "):
        return invalid(path, what.removeprefix("Expected "))
    why = f"'{path}' is missing." if lacks else "The body is not what is expected here."
    return BadRequest("body_invalid", why, field=path)
