"""Chunks of the AI SDK's UI message stream that are rendered from pieces."""

from typing import Any

import msgspec

from domain.model.piece import NumberedPiece, Piece, ToolCallPiece
from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.ui_message_stream import ReplyChunks
from tests.support.builders import reply_id, turn_id

TURN = turn_id()
DONE = TurnEnd(outcome=Outcome.FINISHED)


def parsed(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Cursor and document of each event, without the random padding."""
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        document = msgspec.json.decode(fields["data"])
        document.pop("obfuscation", None)
        found.append((fields.get("id", ""), document))
    return found


def a_turn(*pieces: Piece, end: TurnEnd = DONE) -> list[tuple[str, dict[str, Any]]]:
    chunks = ReplyChunks(TURN, reply_id(), {"sessionId": "s"})
    numbered = [NumberedPiece(number, piece) for number, piece in enumerate(pieces, 1)]
    content = b"".join(chunks.piece(piece) for piece in numbered)
    return parsed(chunks.start() + content + chunks.end(end))


def kinds(*pieces: Piece, end: TurnEnd = DONE) -> list[str]:
    return [document["type"] for _, document in a_turn(*pieces, end=end)]


def call(arguments: str, call_id: str = "c") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="look", arguments=arguments)


def named(chunk: dict[str, Any]) -> tuple[str, str, str | None]:
    return chunk["type"], chunk.get("id", ""), chunk.get("delta")
