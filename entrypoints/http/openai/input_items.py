"""Converts the items in bodies of ``/v1`` to the items that the use cases add."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_MESSAGE_CHARACTERS
from domain.model.message import Part, Role, TextPart, ToolCallPart, ToolResultPart, UnknownPart
from domain.service.user_input import nests_too_deeply, user_text
from entrypoints.http.openai.bodies import (
    FunctionCallItem,
    FunctionCallOutputItem,
    ItemBody,
    ItemReference,
    MessageItem,
    ReasoningItem,
    TextContent,
)
from entrypoints.http.openai.errors import unsupported
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import NESTED_TOO_DEEPLY
from entrypoints.usecases.create_response import InputItem


def input_items(
    items: str | Sequence[ItemBody], sent: Sequence[Any], path: str
) -> Sequence[InputItem]:
    """The items of a body; a string is one user message, and references add nothing.

    Args:
        items: the items, parsed.
        sent: the same items as they were sent.
        path: the name of the member that contains them.

    Raises:
        BadRequest: a text is blank or too long, or contains characters that are not allowed; the
            arguments of a call are nested too deeply.
    """
    if isinstance(items, str):
        return [_user([_text(items, path)])]
    references = [index for index, item in enumerate(items) if isinstance(item, ItemReference)]
    if references and path != "input":
        raise reference_unsupported(f"{path}[{references[0]}]")
    pairs = enumerate(zip(items, sent, strict=True))
    return [
        new_item
        for index, (item, json) in pairs
        for new_item in _inputs(item, json, f"{path}[{index}]")
    ]


def _inputs(item: ItemBody, sent: Mapping[str, Any], path: str) -> Iterator[InputItem]:
    match item:
        case MessageItem(role="assistant"):
            yield from map(_assistant, _texts(item.content, f"{path}.content"))
        case MessageItem():
            texts = _texts(item.content, f"{path}.content")
            yield InputItem(role=Role(item.role), parts=tuple(texts))
        case FunctionCallItem(call_id, name, arguments):
            if nests_too_deeply(arguments.encode()):
                raise BadRequest("body_invalid", NESTED_TOO_DEEPLY, field=f"{path}.arguments")
            yield _assistant(ToolCallPart(call_id=call_id, name=name, arguments=arguments))
        case FunctionCallOutputItem(call_id, output):
            if not isinstance(output, str):
                _text_parts(output, f"{path}.output")
            yield _assistant(ToolResultPart(call_id=call_id, output=_json(sent["output"])))
        case ReasoningItem():
            yield _assistant(UnknownPart(_json(sent)))


def reference_unsupported(path: str) -> BadRequest:
    """The error for a reference to an item in a place where there are no stored items."""
    why = (
        "An 'item_reference' works only in the 'input' of a response with 'conversation' or "
        "'previous_response_id'. Send the item itself instead."
    )
    return unsupported(f"{path}.type", why)


def _texts(content: str | Sequence[TextContent], path: str) -> Sequence[TextPart]:
    if isinstance(content, str):
        return [_text(content, path)]
    texts = _text_parts(content, path)
    if sum(len(part.text) for part in texts) > MAX_MESSAGE_CHARACTERS:
        why = f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters."
        raise BadRequest("message_too_long", why, field=path)
    return texts


def _text_parts(content: Sequence[TextContent], path: str) -> Sequence[TextPart]:
    return [_text(part.text, f"{path}[{index}].text") for index, part in enumerate(content)]


def _text(text: str, path: str) -> TextPart:
    try:
        return user_text(text)
    except InvalidInput as error:
        raise BadRequest(error.problem, str(error), field=path) from None


def _user(texts: Sequence[TextPart]) -> InputItem:
    return InputItem(role=Role.USER, parts=tuple(texts))


def _assistant(part: Part) -> InputItem:
    return InputItem(role=Role.ASSISTANT, parts=(part,))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
