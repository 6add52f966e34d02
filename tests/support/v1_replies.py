"""A reply with sources and calls of tools that the service runs, as ``/v1`` shows it."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from domain.model.identifiers import MessageId
from domain.model.message import (
    FinishReason,
    Message,
    Part,
    Role,
    SourcePart,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import (
    NumberedPiece,
    Piece,
    ToolCallPiece,
)
from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.openai.events import ResponseEvents
from entrypoints.http.openai.items import items_of, response_id
from entrypoints.http.openai.responses import ResponseSkeleton, item_status, output_items
from tests.support.builders import a_conversation, a_message
from tests.support.clocks import NOON

REPLY = MessageId("msg_1")
FINISHED = TurnEnd(outcome=Outcome.FINISHED, finish_reason=FinishReason.STOP)
SOURCES = (
    SourcePart(id="s1", title="Opening hours", url="https://example.org/hours", excerpt="9 to 5"),
    SourcePart(id="s2", title="A note", excerpt="Nobody can open it."),
    SourcePart(id="s3", title="Prices", url="https://example.org/prices"),
)
SEARCH = ToolCallPart(call_id="call_1", name="search", arguments='{"q":"tea"}', server="library")
FOUND = ToolResultPart(call_id="call_1", output='"two books"')


def documents_of(stream: bytes) -> list[dict[str, Any]]:
    """The JSON documents of an event stream."""
    lines = (line.removeprefix("data: ") for line in stream.decode().splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def streamed(
    pieces: Sequence[Piece],
    end: TurnEnd = FINISHED,
    *,
    after: int = -1,
    part_indexes: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """The events of a response with these pieces."""
    skeleton = ResponseSkeleton(
        id=response_id(a_conversation().id, 1), created_at=NOON, model="m", echo={}
    )
    events = ResponseEvents(
        skeleton, REPLY, obfuscated=False, after=after, part_indexes=part_indexes
    )
    start = events.start()
    rendered = [events.piece(NumberedPiece(n, piece)) for n, piece in enumerate(pieces, 1)]
    return documents_of(b"".join([start, *rendered, events.end(end, NOON)]))


def stored(parts: Sequence[Part], end: TurnEnd = FINISHED) -> list[dict[str, Any]]:
    """The output of the stored response with these parts."""
    items = output_items(a_conversation().id, REPLY, parts, item_status(end))
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode(items))
    return decoded


def listed(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    """The items of a conversation with this reply."""
    reply: Message = a_message(role=Role.ASSISTANT, parts=parts, id=REPLY)
    items = items_of(a_conversation().id, [reply])
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode([i.document for i in items]))
    return decoded


def call_piece(arguments: str, call_id: str = "call_1") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="search", arguments=arguments, server="library")
