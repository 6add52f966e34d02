"""Messages as records: arrays in msgpack, enums and part kinds as small numbers.

A number once given is never given again. Ids of ours, which are random hexadecimal digits, are kept
as the bytes they stand for.

Small values as records: times, ids, usage.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec
from attrs import astuple
from msgspec import Struct

from domain.model.identifiers import MessageId
from domain.model.message import (
    FilePart,
    FinishReason,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    Usage,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OURS: Final = "msg_"
_OUR_ID: Final = re.compile(r"msg_[0-9a-f]{16}")


class UsageRecord(Struct, array_like=True):
    """See ``Usage``."""

    input_tokens: int | None
    output_tokens: int | None


def microseconds(time: datetime) -> int:
    """Whole microseconds since 1970."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def time_of(microseconds: int) -> datetime:
    """The aware time so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def short_id(message_id: MessageId) -> bytes:
    """An id of ours as 0 and the 8 bytes it stands for, any other as 1 and its letters."""
    if _OUR_ID.fullmatch(message_id):
        return b"\0" + bytes.fromhex(message_id[len(_OURS) :])
    return b"\1" + message_id.encode()


def long_id(stored: bytes) -> MessageId:
    """The id that was shortened."""
    rest = stored[1:]
    return MessageId(_OURS + rest.hex() if stored[:1] == b"\0" else rest.decode())


def usage_record(usage: Usage | None) -> UsageRecord | None:
    """The record of a usage, absent like it."""
    return None if usage is None else UsageRecord(usage.input_tokens, usage.output_tokens)


def usage_of(record: UsageRecord | None) -> Usage | None:
    """The usage of a record, absent like it."""
    if record is None:
        return None
    return Usage(input_tokens=record.input_tokens, output_tokens=record.output_tokens)


_ROLES: Final = (Role.USER, Role.ASSISTANT)
_STATUSES: Final = (MessageStatus.FINISHED, MessageStatus.INTERRUPTED, MessageStatus.FAILED)
REASONS: Final = (
    FinishReason.STOP,
    FinishReason.LENGTH,
    FinishReason.CONTENT_FILTER,
    FinishReason.TOOL_CALLS,
    FinishReason.OTHER,
)


class TextRecord(Struct, array_like=True, tag=0):
    """See ``TextPart``."""

    text: str


class ReasoningRecord(Struct, array_like=True, tag=1):
    """See ``ReasoningPart``."""

    text: str


class ToolCallRecord(Struct, array_like=True, tag=2):
    """See ``ToolCallPart``."""

    call_id: str
    name: str
    arguments: str


class ToolResultRecord(Struct, array_like=True, tag=3):
    """See ``ToolResultPart``."""

    call_id: str
    output: str
    failed: bool


class FileRecord(Struct, array_like=True, tag=4):
    """See ``FilePart``."""

    url: str
    media_type: str
    name: str | None


class StepRecord(Struct, array_like=True, tag=5):
    """See ``StepMark``."""


class UnknownRecord(Struct, array_like=True, tag=6):
    """See ``UnknownPart``."""

    json: str


PartRecord: TypeAlias = (
    TextRecord
    | ReasoningRecord
    | ToolCallRecord
    | ToolResultRecord
    | FileRecord
    | StepRecord
    | UnknownRecord
)
_RECORDS: Final[Mapping[type[Part], type[PartRecord]]] = MappingProxyType(
    {
        TextPart: TextRecord,
        ReasoningPart: ReasoningRecord,
        ToolCallPart: ToolCallRecord,
        ToolResultPart: ToolResultRecord,
        FilePart: FileRecord,
        StepMark: StepRecord,
        UnknownPart: UnknownRecord,
    }
)
_PARTS: Final = MappingProxyType({record: part for part, record in _RECORDS.items()})


class MessageRecord(Struct, array_like=True):
    """See ``Message``; the time is in microseconds since 1970."""

    id: bytes
    number: int
    turn: int
    role: int
    parts: list[PartRecord]
    created_at: int
    status: int
    finish_reason: int | None
    usage: UsageRecord | None


def message_record(message: Message) -> MessageRecord:
    """The record of a message."""
    reason = message.finish_reason
    return MessageRecord(
        short_id(message.id),
        message.number,
        message.turn,
        _ROLES.index(message.role),
        [_part_record(part) for part in message.parts],
        microseconds(message.created_at),
        _STATUSES.index(message.status),
        None if reason is None else REASONS.index(reason),
        usage_record(message.usage),
    )


def message_of(record: MessageRecord) -> Message:
    """The message of a record.

    Raises:
        IndexError, ValueError: its values are none of ours.
    """
    reason = record.finish_reason
    return Message(
        id=long_id(record.id),
        number=record.number,
        turn=record.turn,
        role=_ROLES[record.role],
        parts=_parts(record.parts),
        created_at=time_of(record.created_at),
        status=_STATUSES[record.status],
        finish_reason=None if reason is None else REASONS[reason],
        usage=None if record.usage is None else usage_of(record.usage),
    )


# Nearly every message is one text, and taking fields by their names takes five times as long.


def _part_record(part: Part) -> PartRecord:
    if type(part) is TextPart:
        return TextRecord(part.text)
    return _RECORDS[type(part)](*astuple(part, recurse=False))


def _parts(records: list[PartRecord]) -> tuple[Part, ...]:
    if len(records) == 1 and type(records[0]) is TextRecord:
        return (TextPart(records[0].text),)
    return tuple([_part(record) for record in records])


def _part(record: PartRecord) -> Part:
    return _PARTS[type(record)](**msgspec.structs.asdict(record))
