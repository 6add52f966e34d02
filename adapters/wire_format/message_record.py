"""Messages as records: arrays in msgpack, with enums and part kinds as small numbers.

The meaning of a number never changes. Ids that we generated (``msg_`` and 16 hexadecimal digits)
are stored in binary.
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
    ImagePart,
    Message,
    MessageStatus,
    Part,
    PromptReport,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    Usage,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_ID_PREFIX: Final = "msg_"
_OWN_ID: Final = re.compile(r"msg_[0-9a-f]{16}")
_ROLES: Final = (Role.USER, Role.ASSISTANT, Role.SYSTEM, Role.DEVELOPER)
_STATUSES: Final = (MessageStatus.FINISHED, MessageStatus.INTERRUPTED, MessageStatus.FAILED)
FINISH_REASONS: Final = (
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
    """See ``ToolCallPart``; records of older releases end after ``arguments``."""

    call_id: str
    name: str
    arguments: str
    server: str | None = None


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


class ImageRecord(Struct, array_like=True, tag=7):
    """See ``ImagePart``."""

    media_type: str
    data: bytes
    detail: str


class SourceRecord(Struct, array_like=True, tag=8):
    """See ``SourcePart``."""

    id: str
    title: str
    url: str | None
    excerpt: str | None


PartRecord: TypeAlias = (
    TextRecord
    | ReasoningRecord
    | ToolCallRecord
    | ToolResultRecord
    | FileRecord
    | StepRecord
    | UnknownRecord
    | ImageRecord
    | SourceRecord
)


_FIRST_USAGE_VALUES: Final = 2


class UsageRecord(Struct, array_like=True):
    """See ``Usage``; records of older releases end after ``output_tokens``."""

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


class PromptReportRecord(Struct, array_like=True):
    """See ``PromptReport``."""

    messages_seen: int
    messages_total: int
    dropped_options: list[str]


class MessageRecord(Struct, array_like=True):
    """See ``Message``; the time is in microseconds since 1970.

    Records of older releases have no ``prompt_report``, no ``page_context`` and no
    ``hook_state_before``.
    """

    id: bytes
    number: int
    turn: int
    role: int
    parts: list[PartRecord]
    created_at: int
    status: int
    finish_reason: int | None
    usage: UsageRecord | None
    prompt_report: PromptReportRecord | None = None
    page_context: str | None = None
    hook_state_before: str | None = None


_RECORDS: Final[Mapping[type[Part], type[PartRecord]]] = MappingProxyType(
    {
        TextPart: TextRecord,
        ReasoningPart: ReasoningRecord,
        ToolCallPart: ToolCallRecord,
        ToolResultPart: ToolResultRecord,
        FilePart: FileRecord,
        StepMark: StepRecord,
        UnknownPart: UnknownRecord,
        ImagePart: ImageRecord,
        SourcePart: SourceRecord,
    }
)
_PARTS: Final = MappingProxyType({record: part for part, record in _RECORDS.items()})


def image_bytes_of(record: MessageRecord) -> int:
    """Bytes of the images in the message of a record."""
    return sum(len(part.data) for part in record.parts if type(part) is ImageRecord)


def message_record(message: Message) -> tuple[object, ...]:
    """The values of a message's record, without values that are None at its end.

    Most messages have none of the newer values, and the dictionary does not know them.
    """
    reason, usage = message.finish_reason, usage_record(message.usage)
    values = (
        short_id(message.id),
        message.number,
        message.turn,
        _ROLES.index(message.role),
        [_part_record(part) for part in message.parts],
        microseconds(message.created_at),
        _STATUSES.index(message.status),
        None if reason is None else FINISH_REASONS.index(reason),
        None
        if usage is None
        else _without_trailing_none(msgspec.structs.astuple(usage), _FIRST_USAGE_VALUES),
    )
    report = report_record(message.prompt_report)
    newer = (report, message.page_context, message.hook_state_before)
    if newer == (None, None, None):
        return values
    return _without_trailing_none((*values, *newer), len(values))


def _without_trailing_none(values: tuple[object, ...], kept: int) -> tuple[object, ...]:
    """The values of a record; the first ``kept`` are always among them."""
    while len(values) > kept and values[-1] is None:
        values = values[:-1]
    return values


def message_of(record: MessageRecord) -> Message:
    """The message of a record.

    Raises:
        IndexError, ValueError: a value is invalid.
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
        finish_reason=None if reason is None else FINISH_REASONS[reason],
        usage=usage_of(record.usage),
        prompt_report=report_of(record.prompt_report),
        page_context=record.page_context,
        hook_state_before=record.hook_state_before,
    )


def _part_record(part: Part) -> PartRecord:
    # A shortcut for most messages: mapping the fields by name takes five times as long.
    if type(part) is TextPart:
        return TextRecord(part.text)
    return _RECORDS[type(part)](*astuple(part, recurse=False))


def _parts(records: list[PartRecord]) -> tuple[Part, ...]:
    if len(records) == 1 and type(records[0]) is TextRecord:
        return (TextPart(records[0].text),)
    return tuple([_part(record) for record in records])


def _part(record: PartRecord) -> Part:
    return _PARTS[type(record)](**msgspec.structs.asdict(record))


def usage_record(usage: Usage | None) -> UsageRecord | None:
    """The record of a usage; None for None."""
    return None if usage is None else UsageRecord(*astuple(usage))


def usage_of(record: UsageRecord | None) -> Usage | None:
    """The usage of a record; None for None."""
    if record is None:
        return None
    return Usage(**msgspec.structs.asdict(record))


def report_record(report: PromptReport | None) -> PromptReportRecord | None:
    """The record of a report; None for None."""
    if report is None:
        return None
    return PromptReportRecord(
        report.messages_seen, report.messages_total, list(report.dropped_options)
    )


def report_of(record: PromptReportRecord | None) -> PromptReport | None:
    """The report of a record; None for None."""
    if record is None:
        return None
    return PromptReport(
        messages_seen=record.messages_seen,
        messages_total=record.messages_total,
        dropped_options=tuple(record.dropped_options),
    )


def short_id(message_id: MessageId) -> bytes:
    """The bytes of an id: 0 and its 8 bytes for our own ids, 1 and its UTF-8 text for others."""
    if _OWN_ID.fullmatch(message_id):
        return b"\0" + bytes.fromhex(message_id.removeprefix(_OWN_ID_PREFIX))
    return b"\1" + message_id.encode()


def long_id(stored: bytes) -> MessageId:
    """The id that ``short_id`` turned into bytes."""
    rest = stored[1:]
    return MessageId(_OWN_ID_PREFIX + rest.hex() if stored[:1] == b"\0" else rest.decode())


def microseconds(time: datetime) -> int:
    """Whole microseconds since 1970."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def time_of(microseconds: int) -> datetime:
    """The aware time at this many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)
