"""The record in one sealed entry of a turn's log: a batch of pieces, and in the last one the end.

    bytes 0 to 3    length of the packed record, big-endian
    bytes 4 …       the packed record
    …               zeros up to a multiple of 256 bytes

The padding hides the sizes of streamed pieces, which reveal what a conversation is about.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from adapters.wire_format.message_record import (
    FINISH_REASONS,
    PromptReportRecord,
    UsageRecord,
    microseconds,
    report_of,
    report_record,
    time_of,
    usage_of,
    usage_record,
)
from adapters.wire_format.packing import MALFORMED, DecodeError, pack, unpack
from domain.model.message import SourcePart, ToolResultPart
from domain.model.piece import (
    NumberedPiece,
    Piece,
    ReasoningPiece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
)
from domain.model.turn import Outcome, TurnEnd
from ports.turn_log import Batch

_PADDED_TO_BYTES: Final = 256
_LENGTH_BYTES: Final = 4
_OUTCOMES: Final = (
    Outcome.FINISHED,
    Outcome.INTERRUPTED,
    Outcome.FAILED,
    Outcome.GONE,
    Outcome.NOT_SAVED,
)


class TextPieceRecord(Struct, array_like=True, tag=0):
    """See ``TextPiece``."""

    text: str


class ReasoningPieceRecord(Struct, array_like=True, tag=1):
    """See ``ReasoningPiece``."""

    text: str


class ToolCallPieceRecord(Struct, array_like=True, tag=2):
    """See ``ToolCallPiece``; records of older releases end after ``arguments``."""

    call_id: str
    name: str
    arguments: str
    server: str | None = None


class ToolResultPieceRecord(Struct, array_like=True, tag=3):
    """See ``ToolResultPart``."""

    call_id: str
    output: str
    failed: bool


class SourcePieceRecord(Struct, array_like=True, tag=4):
    """See ``SourcePart``."""

    id: str
    title: str
    url: str | None
    excerpt: str | None


class StepPieceRecord(Struct, array_like=True, tag=5):
    """See ``StepPiece``."""


class StatePieceRecord(Struct, array_like=True, tag=6):
    """See ``StatePiece``."""

    state: str | None


PieceRecord: TypeAlias = (
    TextPieceRecord
    | ReasoningPieceRecord
    | ToolCallPieceRecord
    | ToolResultPieceRecord
    | SourcePieceRecord
    | StepPieceRecord
    | StatePieceRecord
)


class EndRecord(Struct, array_like=True):
    """See ``TurnEnd``; the time is in microseconds since 1970.

    Records of older releases end after ``expires_at``.
    """

    outcome: int
    finish_reason: int | None
    usage: UsageRecord | None
    error: str | None
    expires_at: int | None
    rejected_option: str | None = None
    prompt_report: PromptReportRecord | None = None


class EntryRecord(Struct, array_like=True):
    """Pieces with consecutive numbers from ``first`` on; ``end`` is set in the last entry only."""

    first: int
    pieces: list[PieceRecord]
    end: EndRecord | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(EntryRecord)


def encode_entry(pieces: Sequence[NumberedPiece], end: TurnEnd | None = None) -> bytes:
    """The padded record of an entry; the numbers of ``pieces`` must be consecutive."""
    first = pieces[0].number if pieces else 1
    records = [_piece_record(numbered.piece) for numbered in pieces]
    packed = pack(
        _encoder.encode(EntryRecord(first, records, None if end is None else _end_record(end)))
    )
    padding = -(_LENGTH_BYTES + len(packed)) % _PADDED_TO_BYTES
    return len(packed).to_bytes(_LENGTH_BYTES, "big") + packed + bytes(padding)


def decode_entry(padded: bytes) -> Batch:
    """The pieces in an entry, and its end if it has one.

    Raises:
        DecodeError: its version is unknown or it is damaged.
    """
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    try:
        record = _decoder.decode(unpack(padded[_LENGTH_BYTES : _LENGTH_BYTES + length]))
        pieces = [
            NumberedPiece(number, _piece(piece))
            for number, piece in enumerate(record.pieces, record.first)
        ]
        return Batch(pieces=pieces, end=_end(record.end) if record.end else None)
    except MALFORMED as error:
        # The cause may contain message text.
        raise DecodeError(type(error).__name__) from None


def _piece_record(piece: Piece) -> PieceRecord:  # noqa: PLR0911 - one for each kind
    match piece:
        case TextPiece(text):
            return TextPieceRecord(text)
        case ReasoningPiece(text):
            return ReasoningPieceRecord(text)
        case ToolCallPiece():
            return ToolCallPieceRecord(piece.call_id, piece.name, piece.arguments, piece.server)
        case ToolResultPiece(result):
            return ToolResultPieceRecord(result.call_id, result.output, result.failed)
        case SourcePiece(source):
            return SourcePieceRecord(source.id, source.title, source.url, source.excerpt)
        case StepPiece():
            return StepPieceRecord()
        case StatePiece(state):
            return StatePieceRecord(state)


def _piece(record: PieceRecord) -> Piece:  # noqa: PLR0911 - one for each kind
    match record:
        case TextPieceRecord(text):
            return TextPiece(text)
        case ReasoningPieceRecord(text):
            return ReasoningPiece(text)
        case ToolCallPieceRecord(call_id, name, arguments, server):
            return ToolCallPiece(call_id=call_id, name=name, arguments=arguments, server=server)
        case ToolResultPieceRecord(call_id, output, failed):
            return ToolResultPiece(ToolResultPart(call_id=call_id, output=output, failed=failed))
        case SourcePieceRecord(source_id, title, url, excerpt):
            return SourcePiece(SourcePart(id=source_id, title=title, url=url, excerpt=excerpt))
        case StepPieceRecord():
            return StepPiece()
        case StatePieceRecord(state):
            return StatePiece(state)


def _end_record(end: TurnEnd) -> EndRecord:
    reason, expires_at = end.finish_reason, end.expires_at
    return EndRecord(
        _OUTCOMES.index(end.outcome),
        None if reason is None else FINISH_REASONS.index(reason),
        usage_record(end.usage),
        end.error,
        None if expires_at is None else microseconds(expires_at),
        end.rejected_option,
        report_record(end.prompt_report),
    )


def _end(record: EndRecord) -> TurnEnd:
    reason, expires_at = record.finish_reason, record.expires_at
    return TurnEnd(
        outcome=_OUTCOMES[record.outcome],
        finish_reason=None if reason is None else FINISH_REASONS[reason],
        usage=usage_of(record.usage),
        error=record.error,
        expires_at=None if expires_at is None else time_of(expires_at),
        rejected_option=record.rejected_option,
        prompt_report=report_of(record.prompt_report),
    )
