"""What one sealed frame of a conversation holds: some messages, and in single frames its head.

The session id stands in the key and in the seal, not in the record.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
from attrs import frozen
from msgspec import Struct

from adapters.wire_format.message_record import (
    MessageRecord,
    long_id,
    message_of,
    message_record,
    microseconds,
    short_id,
    time_of,
)
from adapters.wire_format.packing import RECORD_MAX_BYTES, DecodeError, pack, unpack
from domain.model.conversation import Conversation
from domain.model.identifiers import SessionId, TurnId
from domain.model.message import Message
from domain.model.turn import IdempotencyKey, Turn, TurnStatus

_STATUSES = (TurnStatus.OPEN, TurnStatus.FINISHED, TurnStatus.INTERRUPTED, TurnStatus.FAILED)


class TurnRecord(Struct, array_like=True):
    """See ``Turn``; times in microseconds since 1970, the id as its 16 bytes."""

    id: bytes
    number: int
    reply_id: bytes
    opened_at: int
    status: int
    continues: bool
    idempotency: tuple[bytes, bytes] | None
    ended_at: int | None
    error: str | None


class HeadRecord(Struct, array_like=True):
    """See ``Conversation``.

    Attributes:
        count: how many messages it has in all.
        size_before: bytes of all frames that precede this one.
    """

    locale: str
    created_at: int
    retained_since: int
    retained_for: int
    count: int
    size_before: int
    next_number: int
    turn: TurnRecord | None
    working_memory_from: int
    summary: str | None
    page_context: str | None
    metadata: dict[str, str]


class FrameRecord(Struct, array_like=True):
    """A frame's content; the head is absent in merged frames that are not the last."""

    head: HeadRecord | None
    messages: list[MessageRecord]


@frozen
class FrameContent:
    """A frame's content, decoded; ``head`` stays a record until the conversation is built."""

    head: HeadRecord | None
    messages: tuple[Message, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(FrameRecord)


def encode_frame(
    messages: Sequence[Message],
    *,
    head: Conversation | None = None,
    size_before: int = 0,
    most: int = RECORD_MAX_BYTES,
) -> bytes:
    """A frame's content; ``head`` lends everything but its messages.

    Raises:
        RecordTooLarge: it would have more than ``most`` bytes, not compressed.
    """
    record = FrameRecord(
        None if head is None else _head_record(head, size_before),
        [message_record(said) for said in messages],
    )
    return pack(_encoder.encode(record), most)


def decode_frame(packed: bytes) -> FrameContent:
    """A frame's content.

    Raises:
        DecodeError: it is of no known version, or damaged.
    """
    try:
        record = _decoder.decode(unpack(packed))
        return FrameContent(record.head, tuple([message_of(said) for said in record.messages]))
    except (msgspec.MsgspecError, ValueError, IndexError, TypeError) as error:
        # The cause could repeat what was said.
        raise DecodeError(type(error).__name__) from None


def conversation_of(
    session_id: SessionId, head: HeadRecord, messages: tuple[Message, ...]
) -> Conversation:
    """The conversation with this head and the newest of its messages.

    Raises:
        DecodeError: they do not belong together.
    """
    if head.count < len(messages):
        raise DecodeError("more messages than counted")
    try:
        return Conversation(
            id=session_id,
            locale=head.locale,
            created_at=time_of(head.created_at),
            retained_since=time_of(head.retained_since),
            retained_for=timedelta(seconds=head.retained_for),
            messages=messages,
            earlier=head.count - len(messages),
            next_number=head.next_number,
            turn=None if head.turn is None else _turn(head.turn),
            working_memory_from=head.working_memory_from,
            summary=head.summary,
            page_context=head.page_context,
            metadata=head.metadata,
        )
    except (ValueError, IndexError, OverflowError) as error:
        raise DecodeError(type(error).__name__) from None


def _head_record(known: Conversation, size_before: int) -> HeadRecord:
    return HeadRecord(
        known.locale,
        microseconds(known.created_at),
        microseconds(known.retained_since),
        int(known.retained_for.total_seconds()),
        known.earlier + len(known.messages),
        size_before,
        known.next_number,
        None if known.turn is None else _turn_record(known.turn),
        known.working_memory_from,
        known.summary,
        known.page_context,
        dict(known.metadata),
    )


def _turn_record(turn: Turn) -> TurnRecord:
    idempotency = turn.idempotency
    return TurnRecord(
        bytes.fromhex(turn.id),
        turn.number,
        short_id(turn.reply_id),
        microseconds(turn.opened_at),
        _STATUSES.index(turn.status),
        turn.continues,
        None if idempotency is None else (idempotency.digest, idempotency.body_digest),
        None if turn.ended_at is None else microseconds(turn.ended_at),
        turn.error,
    )


def _turn(record: TurnRecord) -> Turn:
    idempotency = record.idempotency
    return Turn(
        id=TurnId(record.id.hex()),
        number=record.number,
        reply_id=long_id(record.reply_id),
        opened_at=time_of(record.opened_at),
        status=_STATUSES[record.status],
        continues=record.continues,
        idempotency=None
        if idempotency is None
        else IdempotencyKey(digest=idempotency[0], body_digest=idempotency[1]),
        ended_at=None if record.ended_at is None else time_of(record.ended_at),
        error=record.error,
    )
