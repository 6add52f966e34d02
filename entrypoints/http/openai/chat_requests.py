"""Converts the body of ``POST /v1/chat/completions`` to the arguments of the use cases.

Without a conversation, all messages count, and none is stored. In a conversation, its stored
messages are the history: only what follows the last reply among the messages is added to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, Final, TypeAlias

import msgspec
from attrs import frozen

from domain.model.errors import InvalidInput
from domain.model.identifiers import SessionId
from domain.model.limits import MAX_MESSAGE_CHARACTERS, MAX_REPLY_BYTES
from domain.model.message import Part, Role, TextPart, ToolCallPart, ToolResultPart, utf8_length
from domain.model.prompt import ReplyOptions
from domain.service.user_input import nests_too_deeply, user_text
from entrypoints.http.openai.chat_bodies import (
    AssistantMessage,
    ChatImage,
    ChatMessage,
    ChatRefusal,
    ChatText,
    CompletionBody,
    DeveloperMessage,
    ResponseFormat,
    SystemMessage,
    ToolMessage,
    UserMessage,
    parse_completion_body,
)
from entrypoints.http.openai.errors import invalid, unsupported
from entrypoints.http.openai.items import session_of_conversation
from entrypoints.http.openai.requests import check_parameter_size, json_schema_format, tool_of
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import NESTED_TOO_DEEPLY
from entrypoints.usecases.create_response import InputItem

_PATH: Final = "messages"

_Numbered: TypeAlias = tuple[int, ChatMessage]
"""A message and its index among all messages of the body."""
_Instruction: TypeAlias = tuple[int, SystemMessage | DeveloperMessage]


@frozen(kw_only=True)
class ChatParameters:
    """The parameters of ``POST /v1/chat/completions``.

    Attributes:
        session_id: the conversation to reply in; None if nothing is stored.
        with_usage: whether a stream ends with the usage.
        obfuscated: whether the chunks of a stream are padded.
    """

    inputs: Sequence[InputItem]
    options: ReplyOptions
    session_id: SessionId | None
    stream: bool
    with_usage: bool
    obfuscated: bool

    @property
    def is_stored(self) -> bool:
        """Whether the reply becomes part of a conversation."""
        return self.session_id is not None


def parse_chat_parameters(raw: bytes, conversations: Sequence[str]) -> ChatParameters:
    """The parameters, parsed from a body.

    ``conversations`` are the conversations that the headers name.

    Raises:
        BadRequest: a parameter or a message is invalid, too long or not supported.
        ConversationNotFound: the conversation's id is not the id of any conversation.
    """
    body = parse_completion_body(raw)
    session_id = _session(body, conversations)
    instructions, new = _parted(body.messages, is_stored=session_id is not None)
    if not new:
        raise invalid(_PATH, "a message to reply to")
    stream_options = body.stream_options
    return ChatParameters(
        inputs=[item for number, one in new for item in _inputs(one, f"{_PATH}[{number}]")],
        options=_reply_options(body, _instructions(instructions)),
        session_id=session_id,
        stream=body.stream is True,
        with_usage=stream_options is not None and stream_options.include_usage is True,
        obfuscated=stream_options is None or stream_options.include_obfuscation is not False,
    )


def _session(body: CompletionBody, conversations: Sequence[str]) -> SessionId | None:
    """The conversation that the body or a header names; None if neither does."""
    in_body = body.conversation
    name = in_body if in_body is None or isinstance(in_body, str) else in_body.id
    names = {*conversations, *(() if name is None else (name,))}
    if len(names) > 1:
        why = "'conversation' and the header Privity-Conversation name different conversations."
        raise BadRequest("body_invalid", why, field="conversation")
    if body.store is not None and body.store != bool(names):
        why = "Everything in a conversation is stored, and nothing else is."
        raise unsupported("store", why)
    return session_of_conversation(names.pop()) if names else None


def _parted(
    messages: Sequence[ChatMessage], *, is_stored: bool
) -> tuple[Sequence[_Instruction], Sequence[_Numbered]]:
    """The instructions of this one reply, and the messages to reply to."""
    numbered = [*enumerate(messages)]
    instructions = [*_instructions_in(takewhile(_is_instruction, numbered))]
    new: Sequence[_Numbered] = numbered[len(instructions) :]
    if not is_stored:
        return instructions, new
    new = _after_last_reply(new)
    return [*instructions, *_instructions_in(new)], _that_count(new)


def _is_instruction(numbered: _Numbered) -> bool:
    return isinstance(numbered[1], SystemMessage | DeveloperMessage)


def _instructions_in(numbered: Iterable[_Numbered]) -> Iterator[_Instruction]:
    for index, message in numbered:
        if isinstance(message, SystemMessage | DeveloperMessage):
            yield index, message


def _after_last_reply(numbered: Sequence[_Numbered]) -> Sequence[_Numbered]:
    """The messages that the stored conversation does not have yet."""
    backwards = takewhile(
        lambda pair: not isinstance(pair[1], AssistantMessage), reversed(numbered)
    )
    return [*reversed([*backwards])]


def _that_count(new: Sequence[_Numbered]) -> Sequence[_Numbered]:
    """The outputs of functions and the newest message of the user.

    An earlier message of the user is stored already if the model failed to answer it.
    """
    newest = max((index for index, one in new if isinstance(one, UserMessage)), default=None)
    return [
        (index, message)
        for index, message in new
        if isinstance(message, ToolMessage) or index == newest
    ]


def _instructions(instructions: Iterable[_Instruction]) -> str | None:
    texts = [
        text
        for index, message in instructions
        for text in _model_texts(message.content, f"{_PATH}[{index}].content")
    ]
    check_parameter_size(_PATH, "\n\n".join(texts))
    return "\n\n".join(texts) or None


def _inputs(message: ChatMessage, path: str) -> Iterator[InputItem]:
    match message:
        case UserMessage(content):
            yield InputItem(role=Role.USER, parts=tuple(_user_parts(content, f"{path}.content")))
        case AssistantMessage():
            yield from map(_assistant, _reply_parts(message, path))
        case ToolMessage(call_id, content):
            output = "\n".join(_model_texts(content, f"{path}.content"))
            yield _assistant(ToolResultPart(call_id=call_id, output=_json(output)))
        case SystemMessage(content) | DeveloperMessage(content):
            check_parameter_size(f"{path}.content", content)
            texts = _model_texts(content, f"{path}.content")
            role = Role.SYSTEM if isinstance(message, SystemMessage) else Role.DEVELOPER
            yield InputItem(role=role, parts=tuple(map(TextPart, texts)))


def _user_parts(content: str | Sequence[ChatText | ChatImage], path: str) -> Sequence[TextPart]:
    if isinstance(content, str):
        return [_user_text(content, path)]
    parts = [_user_part(part, f"{path}[{index}]") for index, part in enumerate(content)]
    if sum(len(part.text) for part in parts) > MAX_MESSAGE_CHARACTERS:
        why = f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters."
        raise BadRequest("message_too_long", why, field=path)
    return parts


def _user_text(text: str, path: str) -> TextPart:
    try:
        return user_text(text)
    except InvalidInput as error:
        raise BadRequest(error.problem, str(error), field=path) from None


def _model_texts(content: str | Sequence[ChatText | ChatRefusal], path: str) -> Iterator[str]:
    if isinstance(content, str):
        yield _model_text(content, path)
        return
    for index, part in enumerate(content):
        if isinstance(part, ChatRefusal):
            yield _model_text(part.refusal, f"{path}[{index}].refusal")
        else:
            yield _model_text(part.text, f"{path}[{index}].text")


def _model_text(text: str, path: str) -> str:
    if utf8_length(text) > MAX_REPLY_BYTES:
        why = f"A text of the model has at most {MAX_REPLY_BYTES:,} bytes."
        raise BadRequest("message_too_long", why, field=path)
    return text


def _user_part(part: ChatText | ChatImage, path: str) -> TextPart:
    if isinstance(part, ChatImage):
        raise unsupported(f"{path}.type", "Images are not supported by this service.")
    return _user_text(part.text, f"{path}.text")


def _reply_parts(message: AssistantMessage, path: str) -> Iterator[Part]:
    text = "".join(_model_texts(message.content or (), f"{path}.content"))
    refusal = "".join(_model_texts(message.refusal or (), f"{path}.refusal"))
    if text or refusal:
        yield TextPart(text + refusal)
    for index, call in enumerate(message.tool_calls or ()):
        function = call.function
        path_of_arguments = f"{path}.tool_calls[{index}].function.arguments"
        if nests_too_deeply(function.arguments.encode()):
            raise BadRequest("body_invalid", NESTED_TOO_DEEPLY, field=path_of_arguments)
        yield ToolCallPart(call_id=call.id, name=function.name, arguments=function.arguments)


def _reply_options(body: CompletionBody, instructions: str | None) -> ReplyOptions:
    limits = [limit for limit in (body.max_tokens, body.max_completion_tokens) if limit]
    return ReplyOptions(
        instructions=instructions,
        tools=tuple(tool_of(tool.function) for tool in body.tools or ()),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.parallel_tool_calls,
        reply_tokens=min(limits, default=None),
        temperature=body.temperature,
        top_p=body.top_p,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=body.seed,
        stop=_stop(body),
        effort=body.reasoning_effort,
        verbosity=body.verbosity,
        response_format=_response_format(body.response_format),
    )


def _tool_choice(body: CompletionBody) -> str | None:
    choice = body.tool_choice
    if choice in (None, "none", "auto"):
        return choice
    names = {tool.function.name for tool in body.tools or ()}
    if not names:
        raise invalid("tool_choice", "'none' or 'auto', because there are no tools")
    if isinstance(choice, str):
        return choice
    if choice.function.name not in names:
        raise invalid("tool_choice.function.name", "the name of one of the tools")
    return f"={choice.function.name}"


def _stop(body: CompletionBody) -> tuple[str, ...]:
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or ()
    return tuple(stop)


def _response_format(response_format: ResponseFormat | None) -> str | None:
    if response_format is None or response_format.type == "text":
        return None
    if response_format.type == "json_object":
        return '{"type":"json_object"}'
    if response_format.json_schema is None:
        raise invalid("response_format.json_schema", "a value")
    return json_schema_format(response_format.json_schema)


def _assistant(part: Part) -> InputItem:
    return InputItem(role=Role.ASSISTANT, parts=(part,))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
