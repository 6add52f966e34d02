"""Small values as records: times, ids, usage."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from domain.model.identifiers import MessageId
from domain.model.message import Usage

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
