"""Converts the body of ``POST /v1/chat/completions`` to the arguments of the use cases.

Without a conversation, all messages count, and none is stored. In a conversation, its stored
messages are the history: only what follows the last reply among the messages is added to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Final, TypeAlias

import msgspec
from attrs import frozen

from domain.model.identifiers import SessionId
from domain.model.limits import MAX_PARAMETER_BYTES, MessageLimit
from domain.model.message import ImagePart, Part, Role, TextPart, ToolCallPart, ToolResultPart
from domain.model.prompt import ReplyOptions
from domain.service.user_images import NO_IMAGES, ImagePolicy
from domain.service.user_input import nests_too_deeply
from entrypoints.http.images import read_image, require_images
from entrypoints.http.openai.chat_bodies import (
    AssistantMessage,
    ChatImage,
    ChatMessage,
    ChatRefusal,
    ChatText,
    CompletionBody,
    DeveloperMessage,
    ImageUrl,
    ResponseFormat,
    SystemMessage,
    ToolMessage,
    UserMessage,
    parse_completion_body,
)
from entrypoints.http.openai.errors import invalid, unsupported
from entrypoints.http.openai.input_items import assistant_item, check_length, user_item
from entrypoints.http.openai.items import session_of_conversation
from entrypoints.http.openai.requests import json_schema_format, tool_of
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


def parse_chat_parameters(
    raw: bytes,
    conversations: Sequence[str],
    limit: MessageLimit,
    images: ImagePolicy = NO_IMAGES,
) -> ChatParameters:
    """The parameters, parsed from a body.

    Args:
        raw: the body.
        conversations: the conversations that the headers name.
        limit: how long a message of a user may be.
        images: whether the messages may contain images.

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
        inputs=[
            item
            for number, one in new
            for item in _inputs(one, limit, f"{_PATH}[{number}]", images)
        ],
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
    texts = ["\n".join(_texts(message.content)) for _, message in instructions]
    check_length(texts, _PATH, "parameter_too_long", MAX_PARAMETER_BYTES)
    return "\n\n".join(filter(None, texts)) or None


def _inputs(
    message: ChatMessage, limit: MessageLimit, path: str, images: ImagePolicy
) -> Iterator[InputItem]:
    match message:
        case UserMessage(content):
            path = f"{path}.content"
            yield user_item(_user_parts(content, path, images), limit, path)
        case AssistantMessage():
            yield from map(assistant_item, _reply_parts(message, path))
        case ToolMessage(call_id, content):
            texts = _texts(content)
            check_length(texts, f"{path}.content", "tool_result_too_long")
            output = msgspec.json.encode("\n".join(texts)).decode()
            yield assistant_item(ToolResultPart(call_id=call_id, output=output))
        case SystemMessage(content) | DeveloperMessage(content):
            texts = _texts(content)
            check_length(texts, f"{path}.content", "parameter_too_long", MAX_PARAMETER_BYTES)
            role = Role.SYSTEM if isinstance(message, SystemMessage) else Role.DEVELOPER
            yield InputItem(role=role, parts=tuple(map(TextPart, texts)))


def _user_parts(
    content: str | Sequence[ChatText | ChatImage], path: str, images: ImagePolicy
) -> Sequence[TextPart | ImagePart]:
    if isinstance(content, str):
        return [TextPart(content)]
    return [
        _image(part.image_url, f"{path}[{index}]", images)
        if isinstance(part, ChatImage)
        else TextPart(part.text)
        for index, part in enumerate(content)
    ]


def _image(image: ImageUrl, path: str, images: ImagePolicy) -> ImagePart:
    require_images(images, field=path)
    return read_image(
        image.url, images, field=f"{path}.image_url.url", detail=image.detail or "auto"
    )


def _reply_parts(message: AssistantMessage, path: str) -> Iterator[Part]:
    texts = [*_texts(message.content or ()), message.refusal or ""]
    check_length(texts, f"{path}.content")
    if any(texts):
        yield TextPart("".join(texts))
    for index, call in enumerate(message.tool_calls or ()):
        function, path_here = call.function, f"{path}.tool_calls[{index}].function.arguments"
        if nests_too_deeply(function.arguments.encode()):
            raise BadRequest("body_invalid", NESTED_TOO_DEEPLY, field=path_here)
        check_length([function.arguments], path_here)
        yield ToolCallPart(call_id=call.id, name=function.name, arguments=function.arguments)


def _texts(content: str | Sequence[ChatText | ChatRefusal]) -> Sequence[str]:
    if isinstance(content, str):
        return [content]
    return [part.refusal if isinstance(part, ChatRefusal) else part.text for part in content]


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
        client_tools=False,
        # Whatever the client sends is sent on.
        starts_with_user=False,
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
    return tuple(filter(None, stop))


def _response_format(response_format: ResponseFormat | None) -> str | None:
    if response_format is None or response_format.type == "text":
        return None
    if response_format.type == "json_object":
        return '{"type":"json_object"}'
    if response_format.json_schema is None:
        raise invalid("response_format.json_schema", "a value")
    return json_schema_format(response_format.json_schema)
