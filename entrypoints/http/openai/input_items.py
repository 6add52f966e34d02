"""Converts the items in bodies of ``/v1`` to the items that the use cases add.

Only a user's text has to be a message that a person could send. What a model or a tool wrote may be
blank, and as long as a reply may be. So everything that this service has listed can be sent again.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

import msgspec
from attrs import frozen

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_PARAMETER_BYTES, MAX_REPLY_BYTES, MessageLimit
from domain.model.message import (
    ImagePart,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    utf8_length,
)
from domain.service.user_images import NO_IMAGES, ImagePolicy
from domain.service.user_input import nests_too_deeply, user_text
from entrypoints.http.images import check_image_count, read_image, require_images
from entrypoints.http.openai.bodies import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputImage,
    ItemBody,
    ItemReference,
    McpCallItem,
    MessageContent,
    MessageItem,
    ReasoningItem,
    ReasoningText,
    RefusalContent,
    SummaryText,
    TextualContent,
)
from entrypoints.http.openai.errors import invalid, unsupported
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import NESTED_TOO_DEEPLY
from entrypoints.usecases.create_response import InputItem

_OUTPUT_NOT_SENT: Final = "The output was not sent again."


@frozen(kw_only=True)
class ResponseInput:
    """The ``input`` of a response.

    Attributes:
        instructions: the texts of the system and developer messages before all other items; they
            apply to this response only.
        items: all other items; they are stored.
    """

    instructions: Sequence[str]
    items: Sequence[InputItem]


def response_input(
    items: str | Sequence[ItemBody],
    sent: Sequence[Any],
    limit: MessageLimit,
    images: ImagePolicy = NO_IMAGES,
) -> ResponseInput:
    """The ``input`` of a response; the arguments are those of ``input_items``.

    Raises:
        BadRequest: see ``input_items``; ``parameter_too_long`` if the instructions are too long.
    """
    if isinstance(items, str):
        return ResponseInput(
            instructions=(), items=input_items(items, sent, limit, "input", images)
        )
    leading = [*takewhile(_is_instruction, items)]
    texts = [
        "\n".join(_texts(item.content, f"input[{index}].content"))
        for index, item in enumerate(leading)
        if isinstance(item, MessageItem)
    ]
    if sum(map(utf8_length, texts)) > MAX_PARAMETER_BYTES:
        why = f"The instructions in 'input' have at most {MAX_PARAMETER_BYTES:,} bytes."
        raise BadRequest("parameter_too_long", why, field="input")
    count = len(leading)
    rest = input_items(items[count:], sent[count:], limit, "input", images, first=count)
    return ResponseInput(instructions=texts, items=rest)


def input_items(
    items: str | Sequence[ItemBody],
    sent: Sequence[Any],
    limit: MessageLimit,
    path: str,
    images: ImagePolicy = NO_IMAGES,
    *,
    first: int = 0,
) -> Sequence[InputItem]:
    """The items of a body; a string is one user message, and references add nothing.

    Args:
        items: the items, parsed.
        sent: the same items as they were sent.
        limit: how long a message of a user may be.
        path: the name of the member that contains them.
        images: whether the items may contain images.
        first: the index of the first of them in that member.

    Raises:
        BadRequest: a user's text is blank or contains characters that are not allowed; an item is
            too long; the arguments of a call are nested too deeply; see ``read_image``.
    """
    if isinstance(items, str):
        return [user_item([TextPart(items)], limit, path)]
    references = [at for at, item in enumerate(items, first) if isinstance(item, ItemReference)]
    if references and path != "input":
        raise reference_unsupported(f"{path}[{references[0]}]")
    pairs = enumerate(zip(items, sent, strict=True), first)
    return [
        new_item
        for index, (item, json) in pairs
        for new_item in _inputs(item, json, limit, f"{path}[{index}]", images)
    ]


def _is_instruction(item: ItemBody) -> bool:
    return isinstance(item, MessageItem) and item.role in ("system", "developer")


def _inputs(
    item: ItemBody,
    sent: Mapping[str, Any],
    limit: MessageLimit,
    path: str,
    images: ImagePolicy,
) -> Iterator[InputItem]:
    match item:
        case MessageItem():
            yield from _messages(item, limit, f"{path}.content", images)
        case FunctionCallItem(call_id, name, arguments):
            _check_arguments(arguments, f"{path}.arguments")
            yield assistant_item(ToolCallPart(call_id=call_id, name=name, arguments=arguments))
        case FunctionCallOutputItem(call_id, output):
            texts = [output] if isinstance(output, str) else [part.text for part in output]
            check_length(texts, f"{path}.output", "tool_result_too_long")
            yield assistant_item(ToolResultPart(call_id=call_id, output=_json(sent["output"])))
        case McpCallItem():
            _check_arguments(item.arguments, f"{path}.arguments")
            yield _server_call(item, path)
        case ReasoningItem():
            check_length([*_reasoning_texts(sent)], path)
            yield assistant_item(UnknownPart(_json(sent)))


def _check_arguments(arguments: str, path: str) -> None:
    if nests_too_deeply(arguments.encode()):
        raise BadRequest("body_invalid", NESTED_TOO_DEEPLY, field=path)
    check_length([arguments], path)


def _server_call(item: McpCallItem, path: str) -> InputItem:
    """The call of a tool that the service ran, with its result. The id of the item names both."""
    error = item.error
    if error is not None:
        text = _text_of_error(error)
    else:
        text = _OUTPUT_NOT_SENT if item.output is None else item.output
    check_length([text], f"{path}.output", "tool_result_too_long")
    call = ToolCallPart(
        call_id=item.id, name=item.name, arguments=item.arguments, server=item.server_label
    )
    result = ToolResultPart(call_id=item.id, output=_json(text), failed=error is not None)
    return InputItem(role=Role.ASSISTANT, parts=(call, result))


def _text_of_error(error: str | Mapping[str, Any]) -> str:
    """The text of an error, in any of the forms that OpenAI defines."""
    if isinstance(error, str):
        return error
    message, content = error.get("message"), error.get("content")
    if isinstance(message, str):
        return message
    parts = content if isinstance(content, list) else ()
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    strings = [text for text in texts if isinstance(text, str)]
    return "\n".join(strings) if strings and len(strings) == len(texts) else _json(error)


def reference_unsupported(path: str) -> BadRequest:
    """The error for a reference to an item in a place where there are no stored items."""
    why = (
        "An 'item_reference' works only in the 'input' of a response. Send the item itself instead."
    )
    return unsupported(f"{path}.type", why)


def _messages(
    item: MessageItem, limit: MessageLimit, path: str, images: ImagePolicy
) -> Iterator[InputItem]:
    if item.role == "assistant":
        texts = _texts(item.content, path)
        check_length(texts, path)
        parts = [TextPart(item.content)] if isinstance(item.content, str) else _parts(item.content)
        # A part without text stands for a deleted one, so it cannot be stored.
        yield from (assistant_item(part) for part in parts if part.text)
    elif not item.content and not isinstance(item.content, str):
        raise invalid(path, "`array` of length >= 1")
    elif item.role == "user":
        yield user_item(_user_parts(item.content, path, images), limit, path)
    else:
        texts = _texts(item.content, path)
        check_length(texts, path, "parameter_too_long", MAX_PARAMETER_BYTES)
        yield InputItem(role=Role(item.role), parts=tuple(map(TextPart, texts)))


def _parts(content: Sequence[MessageContent]) -> Sequence[TextPart | ReasoningPart]:
    return [
        ReasoningPart(part.text)
        if isinstance(part, SummaryText | ReasoningText)
        else TextPart(_text_of(part))
        for part in content
        if not isinstance(part, InputImage)
    ]


def _user_parts(
    content: str | Sequence[MessageContent], path: str, images: ImagePolicy
) -> Sequence[TextPart | ImagePart]:
    if isinstance(content, str):
        return [TextPart(content)]
    return [
        _image(part, f"{path}[{index}]", images)
        if isinstance(part, InputImage)
        else TextPart(_text_of(part))
        for index, part in enumerate(content)
    ]


def _image(part: InputImage, path: str, images: ImagePolicy) -> ImagePart:
    require_images(images, field=path)
    if part.file_id is not None:
        why = "Files are not kept by this service; send the image as a data URL in 'image_url'."
        raise unsupported(f"{path}.file_id", why)
    if part.image_url is None:
        raise invalid(f"{path}.image_url", "`str`")
    return read_image(
        part.image_url, images, field=f"{path}.image_url", detail=part.detail or "auto"
    )


def user_item(parts: Sequence[TextPart | ImagePart], limit: MessageLimit, path: str) -> InputItem:
    """A message of the user, which may have no text if it has images.

    Raises:
        BadRequest: it is blank, too long, or contains characters that are not allowed; it has too
            many images.
    """
    check_image_count(parts, field=path)
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    has_images = any(isinstance(part, ImagePart) for part in parts)
    if text.strip() or not has_images:
        try:
            user_text(text, limit)
        except InvalidInput as error:
            raise BadRequest(error.problem, str(error), field=path) from None
    return InputItem(role=Role.USER, parts=tuple(parts))


def _texts(content: str | Sequence[MessageContent], path: str) -> Sequence[str]:
    """The texts of a message that cannot have images."""
    if isinstance(content, str):
        return [content]
    texts: list[str] = []
    for index, part in enumerate(content):
        if isinstance(part, InputImage):
            raise unsupported(f"{path}[{index}].type", "Only a user's message can have images.")
        texts.append(_text_of(part))
    return texts


def _text_of(part: TextualContent) -> str:
    return part.refusal if isinstance(part, RefusalContent) else part.text


def _reasoning_texts(sent: Mapping[str, Any]) -> Iterator[str]:
    for name in ("summary", "content"):
        parts = sent.get(name)
        for part in parts if isinstance(parts, list) else ():
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str):
                yield text


def check_length(
    texts: Sequence[str], path: str, code: str = "message_too_long", limit: int = MAX_REPLY_BYTES
) -> None:
    """Refuse texts with more than ``limit`` bytes together.

    Raises:
        BadRequest: it has the ``code``.
    """
    if sum(map(utf8_length, texts)) > limit:
        why = f"'{path}' has at most {limit:,} bytes of text."
        raise BadRequest(code, why, field=path)


def assistant_item(part: Part) -> InputItem:
    """One part of what the assistant or a tool wrote."""
    return InputItem(role=Role.ASSISTANT, parts=(part,))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
