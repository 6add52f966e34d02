"""Converts the body of ``POST /v1/responses`` to the arguments of the use case."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from attrs import evolve, frozen

from domain.model.identifiers import SessionId
from domain.model.limits import MAX_PARAMETER_BYTES, MAX_TOOLS_BYTES, MessageLimit
from domain.model.message import UnknownPart
from domain.model.prompt import ReplyOptions, Tool
from domain.service.user_images import NO_IMAGES, ImagePolicy
from entrypoints.http.openai.bodies import (
    FunctionChoice,
    FunctionTool,
    ItemReference,
    ResponseBody,
    TextFormat,
    TextOptions,
    parse_response_body,
)
from entrypoints.http.openai.chat_bodies import FunctionDefinition, JsonSchemaFormat
from entrypoints.http.openai.errors import continuing, invalid, too_long, unsupported
from entrypoints.http.openai.input_items import response_input
from entrypoints.http.openai.items import (
    NOTE_KIND,
    conversation_id,
    session_of_conversation,
    turn_of_response,
)
from entrypoints.http.openai.parameters import INCLUDABLE
from entrypoints.http.problems import BadRequest
from entrypoints.usecases.create_response import InputItem

ECHOED: Final = (
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "top_p",
    "truncation",
)
"""The parameters that a response echoes, as they were used."""

_NO_PARAMETERS: Final = '{"type":"object","properties":{}}'


@frozen(kw_only=True)
class ResponseParameters:
    """The parameters of ``POST /v1/responses``.

    Attributes:
        session_id: the conversation to reply in; None for a new one.
        after_turn: the number of the turn to continue; None for the newest turn.
        background: whether to respond at once, so that the client retrieves the reply later.
        obfuscated: whether the events of a stream are padded.
        references: the ids of stored items that the input names, by their paths in the body.
        encrypted: whether the response has the (always empty) encrypted content of its reasoning.
        prompt_cache_key: see ``chain_name``.
        echo: the parameters that the response echoes, by name; stored with the input.
        tools: the tools; only the response to this request echoes them.
    """

    inputs: Sequence[InputItem]
    references: Mapping[str, str]
    options: ReplyOptions
    session_id: SessionId | None
    after_turn: int | None
    stream: bool
    background: bool
    store: bool
    obfuscated: bool
    encrypted: bool
    prompt_cache_key: str | None
    echo: Mapping[str, Any]
    tools: Sequence[Any]

    def bounded(self, reply_tokens: int) -> "ResponseParameters":
        """These parameters; the echoed ``max_output_tokens`` is at most ``reply_tokens``."""
        requested_tokens = self.echo.get("max_output_tokens")
        if requested_tokens is None or requested_tokens <= reply_tokens:
            return self
        return evolve(self, echo={**self.echo, "max_output_tokens": reply_tokens})

    @property
    def note(self) -> UnknownPart | None:
        """The part that stores ``echo``; None if that is empty."""
        return UnknownPart(_json({"type": NOTE_KIND, "data": self.echo})) if self.echo else None


def parse_response_parameters(
    members: Mapping[str, Any], limit: MessageLimit, images: ImagePolicy = NO_IMAGES
) -> ResponseParameters:
    """The parameters, parsed from the members of a body; ``limit`` applies to user messages.

    Raises:
        BadRequest: a parameter is invalid or too long, or this service does not support it.
        ConversationNotFound: ``conversation`` is not the id of any conversation.
    """
    body = parse_response_body(members)
    session_id, after_turn = _continuation(body)
    if body.store is False and body.conversation is not None:
        raise unsupported("store", "Everything in a conversation is stored.")
    if body.store is False and body.background:
        raise unsupported("store", "A response in the background has to be stored.")
    stream_options = body.stream_options
    sent = response_input(body.input or (), members.get("input") or (), limit, images)
    return ResponseParameters(
        inputs=sent.items,
        references=_references(body, continues=session_id is not None),
        options=_reply_options(body, sent.instructions),
        session_id=session_id,
        after_turn=after_turn,
        stream=body.stream is True,
        background=body.background is True,
        store=body.store is not False,
        prompt_cache_key=body.prompt_cache_key,
        obfuscated=stream_options is None or stream_options.include_obfuscation is not False,
        encrypted=INCLUDABLE in (body.include or ()),
        echo=_echo(body, members, session_id),
        tools=_tools(body, members),
    )


def _references(body: ResponseBody, *, continues: bool) -> Mapping[str, str]:
    items = () if isinstance(body.input, str) else body.input or ()
    references = {
        f"input[{index}]": item.id
        for index, item in enumerate(items)
        if isinstance(item, ItemReference)
    }
    if not (body.input or continues):
        why = "'input' is missing." if body.input is None else "'input' is empty."
        raise BadRequest("body_invalid", why, field="input")
    return references


def chain_name(parameters: ResponseParameters, person: str | None) -> str | None:
    """The name under which the conversation of a whole history is found; None if it has none.

    Each person for whom an app server speaks has separate names.
    """
    is_continuation = parameters.session_id is not None
    if is_continuation or not parameters.store or not parameters.prompt_cache_key:
        return None
    return f"{person or ''}\0{parameters.prompt_cache_key}"


def _reply_options(body: ResponseBody, instructions: Sequence[str]) -> ReplyOptions:
    text = body.text
    return ReplyOptions(
        instructions="\n\n".join(filter(None, (body.instructions, *instructions))) or None,
        tools=tuple(tool_of(tool) for tool in body.tools or ()),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.parallel_tool_calls,
        max_tool_calls=body.max_tool_calls,
        client_tools=False,
        reply_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        effort=body.reasoning.effort if body.reasoning else None,
        verbosity=text.verbosity if text else None,
        response_format=_response_format(text.format) if text and text.format else None,
        # Whatever the client sends is sent on.
        starts_with_user=False,
        may_truncate=body.truncation != "disabled",
    )


def tool_of(tool: FunctionTool | FunctionDefinition) -> Tool:
    """The tool that a request offers to the model."""
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=_json(tool.parameters) if tool.parameters else _NO_PARAMETERS,
        strict=tool.strict,
    )


def _tool_choice(body: ResponseBody) -> str | None:
    choice = body.tool_choice
    if not isinstance(choice, FunctionChoice):
        if choice == "required" and not body.tools:
            raise invalid("tool_choice", "'auto' or 'none', because there are no tools")
        return choice
    if choice.name not in {tool.name for tool in body.tools or ()}:
        raise invalid("tool_choice.name", "the name of one of the tools")
    return f"={choice.name}"


def _response_format(text: TextFormat) -> str | None:
    if text.type in (None, "text"):
        return None
    if text.type == "json_object":
        return '{"type":"json_object"}'
    if text.name is None or text.schema is None:
        raise invalid("text.format.name" if text.name is None else "text.format.schema", "a value")
    return json_schema_format(text)


def json_schema_format(text: TextFormat | JsonSchemaFormat) -> str:
    """The ``response_format`` of Chat Completions for a reply with a JSON schema, as JSON text."""
    members = {
        "name": text.name,
        "schema": text.schema,
        "strict": text.strict,
        "description": text.description,
    }
    schema = {name: value for name, value in members.items() if value is not None}
    return _json({"type": "json_schema", "json_schema": schema})


def _continuation(body: ResponseBody) -> tuple[SessionId | None, int | None]:
    """The session id and turn number to continue; both None for a new conversation."""
    conversation = body.conversation
    if body.previous_response_id is not None:
        if conversation is not None:
            why = "'previous_response_id' and 'conversation' cannot be combined."
            raise BadRequest("body_invalid", why, field="previous_response_id")
        with continuing():
            return turn_of_response(body.previous_response_id)
    if conversation is None:
        return None, None
    name = conversation if isinstance(conversation, str) else conversation.id
    return session_of_conversation(name), None


def _tools(body: ResponseBody, members: Mapping[str, Any]) -> Sequence[Any]:
    check_parameter_size("tools", members.get("tools") or (), MAX_TOOLS_BYTES)
    return [msgspec.structs.asdict(tool) for tool in body.tools or ()]


def _echo(
    body: ResponseBody, members: Mapping[str, Any], session_id: SessionId | None
) -> dict[str, Any]:
    sent = {name: members[name] for name in ECHOED if members.get(name) not in (None, {}, [])}
    for name, value in sent.items():
        check_parameter_size(name, value)
    effort = body.reasoning.effort if body.reasoning else None
    used = {
        "background": body.background or None,
        "metadata": body.metadata or None,
        "reasoning": {"effort": effort} if effort else None,
        "text": _text_echo(body.text) if body.text else None,
        "truncation": None if body.truncation == "auto" else body.truncation,
    }
    echo = {name: value for name, value in (sent | used).items() if value is not None}
    if members.get("conversation") is not None and session_id is not None:
        echo["conversation"] = {"id": conversation_id(session_id)}
    return echo


def _text_echo(text: TextOptions) -> dict[str, Any] | None:
    sent = text.format
    members: dict[str, Any] = {"format": {"type": sent.type or "text"}} if sent else {}
    if sent and sent.type == "json_schema":
        schema = {"name": sent.name, "description": sent.description, "schema": sent.schema}
        members["format"] |= {**schema, "strict": sent.strict is True}
    return members | ({"verbosity": text.verbosity} if text.verbosity else {}) or None


def check_parameter_size(name: str, value: Any, limit: int = MAX_PARAMETER_BYTES) -> None:
    """Reject a parameter whose JSON has more than ``limit`` bytes.

    Raises:
        BadRequest: ``parameter_too_long``.
    """
    if len(msgspec.json.encode(value)) > limit:
        raise too_long(name, limit)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
