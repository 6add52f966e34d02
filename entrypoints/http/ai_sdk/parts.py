"""What the newest message of the AI SDK's body says: words, or the results of tools."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from domain.model.errors import InvalidInput
from domain.model.identifiers import MessageId, message_id
from domain.model.message import TextPart, ToolResultPart
from domain.service.tool_answers import tool_result
from domain.service.user_input import user_text
from entrypoints.http.ai_sdk.bodies import UiMessage
from entrypoints.http.bodies import parse
from entrypoints.http.problems import BadRequest

_ID_DIGITS: Final = 32
_SPEAKING: Final = "text"
_NO_FILES: Final = "Messages are text; files are not taken."


class _Kind(Struct):
    type: str


class _Words(Struct):
    text: str


class _Tool(Struct, rename="camel"):
    tool_call_id: str
    state: str = ""
    output: Raw = msgspec.field(default_factory=lambda: Raw(b"null"))
    error_text: str = ""


def words_of(message: UiMessage) -> TextPart:
    """Its text, the parts one below the other.

    Raises:
        BadRequest: a part is malformed, or a file.
        InvalidInput: the text cannot be taken.
    """
    texts: list[str] = []
    for kind, raw in _kinds(message):
        if kind == "file":
            raise BadRequest("body_invalid", _NO_FILES, field="parts")
        if kind == _SPEAKING:
            texts.append(parse(raw, _Words).text)
    return user_text("\n".join(texts))


def tool_results_of(message: UiMessage) -> Sequence[ToolResultPart]:
    """The results that it holds, of whatever calls.

    Raises:
        BadRequest: a part is malformed.
        InvalidInput: a result is too long.
    """
    tools = (raw for kind, raw in _kinds(message) if _is_tool(kind))
    results = (_result(parse(raw, _Tool)) for raw in tools)
    return tuple(result for result in results if result is not None)


def kept_id(told: str) -> MessageId | None:
    """The id to keep a message under; absent when the client gave none.

    One that is malformed is replaced by a digest, so that the client may go on using it.
    """
    if not told:
        return None
    try:
        return message_id(told)
    except InvalidInput:
        digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        return MessageId(digest[:_ID_DIGITS])


def _kinds(message: UiMessage) -> Iterator[tuple[str, bytes]]:
    for raw in message.parts:
        yield parse(bytes(raw), _Kind).type, bytes(raw)


def _is_tool(kind: str) -> bool:
    return kind.startswith("tool-") or kind == "dynamic-tool"


def _result(tool: _Tool) -> ToolResultPart | None:
    match tool.state:
        case "output-available":
            return tool_result(tool.tool_call_id, _json(tool.output))
        case "output-error":
            why = msgspec.json.encode(tool.error_text).decode()
            return tool_result(tool.tool_call_id, why, failed=True)
        case _:
            return None


def _json(raw: Raw) -> str:
    # Decoded whole, as what is kept is shown again as JSON.
    return msgspec.json.encode(parse(bytes(raw), object)).decode()
