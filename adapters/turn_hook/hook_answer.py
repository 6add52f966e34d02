"""Reads the hook's answer strictly. What is logged of an error does not repeat the answer."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from adapters.turn_hook.hook_bodies import (
    MAX_HOOK_REPLY_BYTES,
    MAX_INSTRUCTIONS_BYTES,
    MAX_URL_CHARACTERS,
    AnswerBody,
    AnsweredOptions,
    AnsweredPassage,
    AnsweredTool,
    ChosenTool,
)
from domain.model.limits import (
    MAX_HOOK_STATE_BYTES,
    MAX_JSON_DEPTH,
    MAX_PASSAGES_BYTES,
    MAX_TOOLS_BYTES,
)
from domain.model.message import utf8_length
from domain.model.preparation import Preparation
from domain.model.prompt import DEFAULT_OPTIONS, Passage, ReplyOptions, Tool
from domain.service.user_input import nests_too_deeply

_URL: Final = re.compile(
    r"https?://[^\s/?#\\@\x00-\x20\x7f]+([/?#][^\s\x00-\x20\x7f]*)?", re.IGNORECASE
)
_PATH: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>[^`]*)`")
_INDEX: Final = re.compile(r"\[\d{1,3}\]")
_NAMES: Final = frozenset(
    field.encode_name
    for body in (AnswerBody, AnsweredPassage, AnsweredTool, AnsweredOptions, ChosenTool)
    for field in msgspec.structs.fields(body)
)
_REASONS: Final = (
    ("unknown field", "unknown-field"),
    ("missing required field", "missing-field"),
    ("of length <=", "too-long"),
    ("of length >=", "empty"),
    ("matching regex", "invalid-name"),
    ("Expected `float` <=", "out-of-range"),
    ("Expected `float` >=", "out-of-range"),
    ("Expected `int` <=", "out-of-range"),
    ("Expected `int` >=", "out-of-range"),
    ("out of range", "out-of-range"),
    ("Invalid enum value", "unknown-value"),
)
"""What the messages of msgspec contain, and our words for it."""

_NO_PARAMETERS: Final = Raw(b'{"type":"object","properties":{}}')
_DECODER: Final = msgspec.json.Decoder(AnswerBody)


class InvalidAnswer(Exception):
    """The answer is not one that a hook may give.

    Attributes:
        reason: a word for what is wrong, such as ``too-long``.
        field: the path of the wrong field, which consists of names that we define; None: the whole
            answer.
        explanation: a sentence for the hook's developer. It may repeat names and short values of
            the answer, so it is never logged.
    """

    def __init__(self, reason: str, field: str | None = None, explanation: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
        self.explanation = explanation


def read_answer(raw: bytes) -> Preparation:
    """The preparation in the JSON text ``raw``.

    Raises:
        InvalidAnswer: the text is not a valid answer.
    """
    body = _decoded(raw)
    offered, tools = _tools(body.tools)
    return Preparation(
        instructions=_text(body.instructions, "instructions", MAX_INSTRUCTIONS_BYTES) or None,
        passages=_passages(body.passages or ()),
        reply=_reply(body.reply),
        offered=offered,
        tools=tools,
        options=DEFAULT_OPTIONS if body.options is None else _options(body.options),
        changes_state=body.state is not UNSET,
        state=_state(body.state),
    )


def _decoded(raw: bytes) -> AnswerBody:
    try:
        return _DECODER.decode(raw)
    except msgspec.ValidationError as error:
        # Not chained: the text of msgspec's error may contain words of the answer.
        raise _invalid(str(error)) from None
    except RecursionError:
        raise InvalidAnswer("nested-too-deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidAnswer("not-json", explanation=str(error)) from None


def _invalid(text: str) -> InvalidAnswer:
    """The error for a message of msgspec's, which ends with the path of the field."""
    match, missing = _PATH.search(text), _MISSING.search(text)
    path = match["path"] if match else ""
    if missing:
        path = f"{path}.{missing['name']}".lstrip(".")
    reason = next((word for part, word in _REASONS if part in text), "wrong-type")
    # The name of an unknown field may look like the end of such a message.
    is_ours = all(name in _NAMES for name in _INDEX.sub("", path).split("."))
    return InvalidAnswer(reason, path if is_ours else None, _PATH.sub("", text))


def _text(text: str | None, field: str, max_bytes: int) -> str | None:
    if text is None:
        return None
    if utf8_length(text) > max_bytes:
        raise InvalidAnswer("too-long", field, f"At most {max_bytes:,} bytes are possible.")
    if "\0" in text:
        raise InvalidAnswer("not-text", field, "The text contains NUL.")
    return text


def _reply(reply: str | None) -> str | None:
    if reply is not None and not reply.strip():
        raise InvalidAnswer("empty", "reply", "A reply has at least one visible character.")
    return _text(reply, "reply", MAX_HOOK_REPLY_BYTES)


def _passages(passages: Sequence[AnsweredPassage]) -> tuple[Passage, ...]:
    size = 0
    for index, passage in enumerate(passages):
        size += utf8_length(passage.title) + utf8_length(passage.text) + len(passage.url or "")
        if "\0" in passage.title or "\0" in passage.text:
            raise InvalidAnswer("not-text", f"passages[{index}]", "A text contains NUL.")
        if passage.url is not None and not _is_url(passage.url):
            why = f"Expected an http or https URL of at most {MAX_URL_CHARACTERS:,} characters."
            raise InvalidAnswer("not-a-url", f"passages[{index}].url", why)
    if size > MAX_PASSAGES_BYTES:
        why = f"Passages have at most {MAX_PASSAGES_BYTES:,} bytes together."
        raise InvalidAnswer("too-long", "passages", why)
    return tuple(Passage(title=one.title, text=one.text, url=one.url) for one in passages)


def _is_url(text: str) -> bool:
    return len(text) <= MAX_URL_CHARACTERS and _URL.fullmatch(text) is not None


def _tools(
    tools: list[str | AnsweredTool] | None,
) -> tuple[frozenset[str] | None, tuple[Tool, ...]]:
    """The names of the offered tools of the assistant's file, and the tools that are defined."""
    if tools is None:
        return None, ()
    defined = [(index, tool) for index, tool in enumerate(tools) if isinstance(tool, AnsweredTool)]
    names = {tool.name for _, tool in defined}
    if len(names) < len(defined):
        raise InvalidAnswer("repeated-name", "tools", "Two tools have the same name.")
    made = tuple(_tool(tool, f"tools[{index}]") for index, tool in defined)
    if sum(tool.size for tool in made) > MAX_TOOLS_BYTES:
        why = f"Tools have at most {MAX_TOOLS_BYTES:,} bytes together."
        raise InvalidAnswer("too-long", "tools", why)
    return frozenset(tool for tool in tools if isinstance(tool, str)), made


def _tool(tool: AnsweredTool, path: str) -> Tool:
    field = f"{path}.parameters"
    parameters = _NO_PARAMETERS if isinstance(tool.parameters, UnsetType) else tool.parameters
    schema, text = _json(parameters, field, MAX_TOOLS_BYTES)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        why = "Expected a JSON Schema with the type object."
        raise InvalidAnswer("wrong-type", field, why)
    return Tool(
        name=tool.name,
        description=_text(tool.description, f"{path}.description", MAX_TOOLS_BYTES),
        parameters=text,
    )


def _options(options: AnsweredOptions) -> ReplyOptions:
    choice = options.tool_choice
    return ReplyOptions(
        temperature=options.temperature,
        top_p=options.top_p,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        seed=options.seed,
        stop=tuple(options.stop or ()),
        reply_tokens=options.reply_tokens,
        effort=options.effort,
        verbosity=options.verbosity,
        tool_choice=f"={choice.name}" if isinstance(choice, ChosenTool) else choice,
        parallel_tool_calls=options.parallel_tool_calls,
    )


def _state(state: Raw | UnsetType) -> str | None:
    if isinstance(state, UnsetType):
        return None
    value, text = _json(state, "state", MAX_HOOK_STATE_BYTES)
    return None if value is None else text


def _json(raw: Raw, field: str, max_bytes: int) -> tuple[Any, str]:
    """The value and the shortest text of a member that may be any JSON."""
    json = bytes(raw)
    if nests_too_deeply(json):
        why = f"JSON can be nested at most {MAX_JSON_DEPTH} levels deep."
        raise InvalidAnswer("nested-too-deeply", field, why)
    try:
        text = msgspec.json.format(json, indent=-1).decode()
        if len(text) > max_bytes or utf8_length(text) > max_bytes:
            raise InvalidAnswer("too-long", field, f"At most {max_bytes:,} bytes are possible.")
        # Only now: a megabyte of small values takes long to decode.
        return msgspec.json.decode(json), text
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidAnswer("not-json", field, str(error)) from None
