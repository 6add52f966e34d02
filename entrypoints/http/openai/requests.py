"""The body of ``POST /v1/responses``: its items and its options."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from attrs import field, frozen

from domain.model.errors import InvalidInput
from domain.model.identifiers import SessionId
from domain.model.limits import MAX_MESSAGE_CHARACTERS
from domain.model.message import Part, Role, TextPart, ToolCallPart, ToolResultPart, UnknownPart
from domain.model.prompt import ReplyOptions, Tool
from domain.service.user_input import user_text
from entrypoints.http.openai.errors import continuing
from entrypoints.http.openai.items import (
    NOTE_KIND,
    conversation_id,
    named_conversation,
    named_response,
)
from entrypoints.http.openai.members import (
    invalid,
    member,
    one_of,
    reject_unsupported,
    required,
    unsupported,
)
from entrypoints.http.problems import BadRequest
from entrypoints.usecases.create_response import InputItem

_TEXTS: Final = ("input_text", "output_text", "text")
_USE_INSTRUCTIONS: Final = "Use 'instructions' for what is not the user's or the assistant's."


def parse_items(items: Any, path: str, *, most: int | None = None) -> Sequence[InputItem]:
    """The items of a list, one input each; a string is one message of the user.

    Raises:
        BadRequest: one of them is not understood, or of a kind that this service lacks.
        InvalidInput: a text that nobody may send.
    """
    if isinstance(items, str):
        return [_user([_text(items, path)])]
    if not isinstance(items, list):
        invalid(path, "a string or a list of items")
    if most is not None and len(items) > most:
        invalid(path, f"a list of at most {most} items")
    return [given for at, item in enumerate(items) for given in _item(item, f"{path}[{at}]")]


def _item(item: Any, path: str) -> Iterator[InputItem]:
    if not isinstance(item, dict):
        invalid(path, "an object")
    match item.get("type", "message"):
        case "message":
            yield from _message(item, path)
        case "function_call":
            yield _assistant(_call(item, path))
        case "function_call_output":
            yield _assistant(_result(item, path))
        case "reasoning":
            yield _assistant(UnknownPart(msgspec.json.encode(item).decode()))
        case _:
            unsupported(f"{path}.type")


def _message(item: Mapping[str, Any], path: str) -> Iterator[InputItem]:
    role = required(item, "role", str, "a string", f"{path}.")
    if role not in ("user", "assistant"):
        unsupported(f"{path}.role", _USE_INSTRUCTIONS)
    texts = _texts(item.get("content"), f"{path}.content")
    if role == "user":
        yield _user(texts)
    else:
        yield from map(_assistant, texts)


def _texts(content: Any, path: str) -> list[TextPart]:
    if isinstance(content, str):
        return [_text(content, path)]
    if not isinstance(content, list) or not content:
        invalid(path, "a string or a list of content parts")
    texts = [_text_of(part, f"{path}[{at}]") for at, part in enumerate(content)]
    if sum(len(part.text) for part in texts) > MAX_MESSAGE_CHARACTERS:
        why = f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters."
        raise BadRequest("message_too_long", why, field=path)
    return texts


def _text_of(part: Any, path: str) -> TextPart:
    if not isinstance(part, dict):
        invalid(path, "an object")
    if part.get("type") not in _TEXTS:
        unsupported(f"{path}.type", "Only text is understood.")
    return _text(required(part, "text", str, "a string", f"{path}."), f"{path}.text")


def _text(text: str, path: str) -> TextPart:
    try:
        return user_text(text)
    except InvalidInput as error:
        raise BadRequest(error.problem, str(error), field=path) from None


def _call(item: Mapping[str, Any], path: str) -> Part:
    within = f"{path}."
    return ToolCallPart(
        call_id=required(item, "call_id", str, "a string", within),
        name=required(item, "name", str, "a string", within),
        arguments=required(item, "arguments", str, "a string", within),
    )


def _result(item: Mapping[str, Any], path: str) -> Part:
    call_id = required(item, "call_id", str, "a string", f"{path}.")
    output = item.get("output")
    if isinstance(output, list):
        for at, part in enumerate(output):
            _text_of(part, f"{path}.output[{at}]")
    elif not isinstance(output, str):
        invalid(f"{path}.output", "a string or a list of texts")
    return ToolResultPart(call_id=call_id, output=msgspec.json.encode(output).decode())


def _user(texts: Sequence[TextPart]) -> InputItem:
    return InputItem(role=Role.USER, parts=tuple(texts))


def _assistant(part: Part) -> InputItem:
    return InputItem(role=Role.ASSISTANT, parts=(part,))


_LEAST_TOKENS: Final = 16
_CHOICES: Final = frozenset({"auto", "none", "required"})
_NO_PARAMETERS: Final = '{"type":"object","properties":{}}'


def parse_options(body: Mapping[str, Any]) -> ReplyOptions:
    """The wishes of a body.

    Raises:
        BadRequest: one of them is not understood, or this service cannot heed it.
    """
    tools = _tools(body)
    reasoning = member(body, "reasoning", dict, "an object") or {}
    reject_unsupported(reasoning, set(reasoning) & {"mode", "context"})
    text = member(body, "text", dict, "an object") or {}
    return ReplyOptions(
        instructions=member(body, "instructions", str, "a string"),
        tools=tools,
        tool_choice=_choice(body.get("tool_choice"), tools),
        parallel_tool_calls=member(body, "parallel_tool_calls", bool, "true or false"),
        reply_tokens=_reply_tokens(body),
        temperature=_between(body, "temperature", 2),
        top_p=_between(body, "top_p", 1),
        effort=member(reasoning, "effort", str, "a string", "reasoning."),
        verbosity=member(text, "verbosity", str, "a string", "text."),
        response_format=_format(member(text, "format", dict, "an object", "text.") or {}),
    )


def _tools(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    given: Sequence[Any] = member(body, "tools", list, "a list") or []
    return tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(given))


def _tool(tool: Any, path: str) -> Tool:
    if not isinstance(tool, dict):
        invalid(path, "an object")
    if tool.get("type") != "function":
        unsupported(f"{path}.type", "Only function tools are.")
    within = f"{path}."
    parameters = member(tool, "parameters", dict, "an object", within)
    schema = msgspec.json.encode(parameters).decode() if parameters else _NO_PARAMETERS
    return Tool(
        name=required(tool, "name", str, "a string", within),
        description=member(tool, "description", str, "a string", within),
        parameters=schema,
        strict=member(tool, "strict", bool, "true or false", within),
    )


def _choice(choice: Any, tools: Sequence[Tool]) -> str | None:
    if choice is None or (isinstance(choice, str) and choice in _CHOICES):
        return choice
    if not isinstance(choice, dict) or choice.get("type") != "function":
        unsupported("tool_choice", "Known: auto, none, required, or one function.")
    name = required(choice, "name", str, "a string", "tool_choice.")
    if name not in {tool.name for tool in tools}:
        invalid("tool_choice.name", "the name of one of the tools")
    return f"={name}"


def _reply_tokens(body: Mapping[str, Any]) -> int | None:
    tokens = member(body, "max_output_tokens", int, "a whole number")
    if tokens is not None and tokens < _LEAST_TOKENS:
        invalid("max_output_tokens", f"at least {_LEAST_TOKENS}")
    return tokens


def _between(body: Mapping[str, Any], name: str, most: float) -> float | None:
    number = member(body, name, float, "a number")
    if number is not None and not 0 <= number <= most:
        invalid(name, f"a number from 0 to {most:g}")
    return number


def _format(wanted: Mapping[str, Any]) -> str | None:
    kind = one_of(wanted, "type", {"text", "json_object", "json_schema"}, "text.format.")
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return '{"type":"json_object"}'
    schema = {
        "name": required(wanted, "name", str, "a string", "text.format."),
        "schema": required(wanted, "schema", dict, "an object", "text.format."),
        "strict": member(wanted, "strict", bool, "true or false", "text.format."),
        "description": member(wanted, "description", str, "a string", "text.format."),
    }
    told = {name: value for name, value in schema.items() if value is not None}
    return msgspec.json.encode({"type": "json_schema", "json_schema": told}).decode()


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
"""What OpenAI defines and we lack."""

ECHOED: Final = (
    "background",
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "top_p",
)
"""What a response repeats of what it was asked with."""

_PAIRS, _NAME_CHARACTERS, _VALUE_CHARACTERS = 16, 64, 512


@frozen(kw_only=True)
class ParsedResponseRequest:
    """What a client asks for.

    Attributes:
        session_id: where the reply belongs; absent for a new conversation.
        after_turn: the turn it continues; absent for a conversation's newest.
        background: whether the answer comes at once, to be looked for later.
        echo: what the response repeats, by name; kept beside the input.
        tools: as they were sent; repeated by the first answer only.
    """

    inputs: Sequence[InputItem]
    options: ReplyOptions
    session_id: SessionId | None
    after_turn: int | None
    stream: bool
    background: bool
    store: bool
    obfuscated: bool
    echo: Mapping[str, Any]
    tools: Sequence[Any] = field(factory=tuple)

    @property
    def note(self) -> UnknownPart | None:
        """What is kept of ``echo``; absent when it is empty."""
        if not self.echo:
            return None
        return UnknownPart(msgspec.json.encode({"type": NOTE_KIND, "data": self.echo}).decode())


def parse_response_request(body: Mapping[str, Any]) -> ParsedResponseRequest:
    """What ``body`` asks for.

    Raises:
        BadRequest: something of it is not understood, or this service cannot heed it.
    """
    reject_unsupported(body, LACKING)
    one_of(body, "truncation", {"auto"})
    one_of(body, "service_tier", {"auto", "default"})
    member(body, "model", str, "a string")
    member(body, "prompt_cache_key", str, "a string")
    session_id, after_turn = _place(body)
    store = member(body, "store", bool, "true or false") is not False
    background = member(body, "background", bool, "true or false") is True
    if not store and body.get("conversation") is not None:
        unsupported("store", "In a conversation everything is kept.")
    if not store and background:
        unsupported("store", "What runs in the background has to be kept.")
    options = member(body, "stream_options", dict, "an object") or {}
    obfuscated = member(options, "include_obfuscation", bool, "true or false", "stream_options.")
    return ParsedResponseRequest(
        inputs=parse_items(body.get("input") or [], "input"),
        options=parse_options(body),
        session_id=session_id,
        after_turn=after_turn,
        stream=member(body, "stream", bool, "true or false") or False,
        background=background,
        store=store,
        obfuscated=obfuscated is not False,
        echo=_echo(body, session_id),
        tools=body.get("tools") or (),
    )


def parse_metadata(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The member ``metadata``; empty without it.

    Raises:
        BadRequest: it is none, or too much.
    """
    metadata: Mapping[str, Any] = member(body, "metadata", dict, "an object") or {}
    expected = (
        f"at most {_PAIRS} pairs of strings, of {_NAME_CHARACTERS} and {_VALUE_CHARACTERS} "
        "characters at most"
    )
    if len(metadata) > _PAIRS or not all(_is_pair(*pair) for pair in metadata.items()):
        invalid("metadata", expected)
    return metadata


def _is_pair(name: str, value: Any) -> bool:
    if not (isinstance(value, str) and _is_text(name + value)):
        return False
    return len(name) <= _NAME_CHARACTERS and len(value) <= _VALUE_CHARACTERS


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def _place(body: Mapping[str, Any]) -> tuple[SessionId | None, int | None]:
    previous = member(body, "previous_response_id", str, "a string")
    conversation = body.get("conversation")
    if previous is not None and conversation is not None:
        why = "'previous_response_id' and 'conversation' exclude each other."
        raise BadRequest("body_invalid", why, field="previous_response_id")
    if previous is not None:
        return _previous(previous)
    if conversation is None:
        return None, None
    return _conversation(conversation), None


def _previous(name: str) -> tuple[SessionId, int]:
    with continuing():
        return named_response(name)


def _conversation(conversation: Any) -> SessionId:
    if isinstance(conversation, dict):
        conversation = required(conversation, "id", str, "a string", "conversation.")
    if not isinstance(conversation, str):
        invalid("conversation", "an id or an object with one")
    return named_conversation(conversation)


def _echo(body: Mapping[str, Any], session_id: SessionId | None) -> dict[str, Any]:
    parse_metadata(body)
    echo = {name: body[name] for name in ECHOED if body.get(name) not in (None, {}, [])}
    if not echo.get("background"):
        echo.pop("background", None)
    if body.get("conversation") is not None and session_id is not None:
        echo["conversation"] = {"id": conversation_id(session_id)}
    return echo
