"""Items that a client puts in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_MESSAGE_CHARACTERS
from domain.model.message import (
    Part,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.service.user_input import user_text
from entrypoints.http.openai.members import lacking, required, wrong
from entrypoints.http.problems import BadRequest
from entrypoints.usecases.given_input import Input

_TEXTS: Final = ("input_text", "output_text", "text")
_USE_INSTRUCTIONS: Final = "Use 'instructions' for what is not the user's or the assistant's."


def given_items(items: Any, path: str, *, most: int | None = None) -> Sequence[Input]:
    """The items of a list, one input each; a string is one message of the user.

    Raises:
        BadRequest: one of them is not understood, or of a kind that this service lacks.
        InvalidInput: a text that nobody may send.
    """
    if isinstance(items, str):
        return [_user([_text(items, path)])]
    if not isinstance(items, list):
        wrong(path, "a string or a list of items")
    if most is not None and len(items) > most:
        wrong(path, f"a list of at most {most} items")
    return [given for at, item in enumerate(items) for given in _item(item, f"{path}[{at}]")]


def _item(item: Any, path: str) -> Iterator[Input]:
    if not isinstance(item, dict):
        wrong(path, "an object")
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
            lacking(f"{path}.type")


def _message(item: Mapping[str, Any], path: str) -> Iterator[Input]:
    role = required(item, "role", str, "a string", f"{path}.")
    if role not in ("user", "assistant"):
        lacking(f"{path}.role", _USE_INSTRUCTIONS)
    texts = _texts(item.get("content"), f"{path}.content")
    if role == "user":
        yield _user(texts)
    else:
        yield from map(_assistant, texts)


def _texts(content: Any, path: str) -> list[TextPart]:
    if isinstance(content, str):
        return [_text(content, path)]
    if not isinstance(content, list) or not content:
        wrong(path, "a string or a list of content parts")
    texts = [_text_of(part, f"{path}[{at}]") for at, part in enumerate(content)]
    if sum(len(part.text) for part in texts) > MAX_MESSAGE_CHARACTERS:
        why = f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters."
        raise BadRequest("message_too_long", why, field=path)
    return texts


def _text_of(part: Any, path: str) -> TextPart:
    if not isinstance(part, dict):
        wrong(path, "an object")
    if part.get("type") not in _TEXTS:
        lacking(f"{path}.type", "Only text is understood.")
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
        wrong(f"{path}.output", "a string or a list of texts")
    return ToolResultPart(call_id=call_id, output=msgspec.json.encode(output).decode())


def _user(texts: Sequence[TextPart]) -> Input:
    return Input(role=Role.USER, parts=tuple(texts))


def _assistant(part: Part) -> Input:
    return Input(role=Role.ASSISTANT, parts=(part,))
