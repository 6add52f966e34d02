"""The record in one sealed frame of a conversation: some of its messages and its head.

The head holds the rest of the conversation, except for the session id: that is part of the key in
Redis and of the seal.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import msgspec
from attrs import frozen
from msgspec import Struct

from adapters.wire_format.head_records import (
    FoldingRecord,
    TurnRecord,
    earlier_keys_of,
    folding_of_record,
    folding_record,
    turn_of_record,
    turn_record,
)
from adapters.wire_format.message_record import (
    MessageRecord,
    image_bytes_of,
    message_of,
    message_record,
    microseconds,
    time_of,
)
from adapters.wire_format.packing import (
    MALFORMED,
    RECORD_MAX_BYTES,
    DecodeError,
    RecordTooLarge,
    label_of,
    pack,
    unpack,
)
from domain.model.conversation import Conversation
from domain.model.identifiers import SessionId
from domain.model.limits import (
    MAX_CONVERSATION_IMAGE_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    PART_OVERHEAD_BYTES,
)
from domain.model.message import Message


class HeadRecord(Struct, array_like=True):
    """See ``Conversation``.

    Attributes:
        created_at, retained_since: microseconds since 1970.
        retained_for: seconds.
        count: number of messages in the whole conversation.
        size_before: see ``SizeBefore``; 0 if there are no earlier frames. The images are left out
            if there are none. Older releases stored the sealed bytes only.
        page_context: always None; older releases stored that of the newest message here.
        has_instructions: as ``Conversation.instructions_from``, which older releases did not store.
        instructions_from: 1 if there are no instructions.

    The defaults at the end are left out, which saves some bytes.
    """

    locale: str
    created_at: int
    retained_since: int
    retained_for: int
    count: int
    size_before: int | tuple[int, ...]
    next_number: int
    turn: TurnRecord | None
    working_memory_from: int
    summary: str | None
    page_context: str | None
    metadata: dict[str, str]
    has_instructions: bool = False
    instructions_from: int = 1
    summarized_until: int = 1
    folding: FoldingRecord | None = None
    carried_summary: str | None = None
    prompt_name: str | None = None
    hook_state: str | None = None


class FrameRecord(Struct, array_like=True):
    """The record of one frame; ``head`` may be None or out of date, except in the last frame."""

    head: HeadRecord | None
    messages: list[MessageRecord]


@frozen
class FrameContent:
    """A decoded frame. Its head and its messages are still records.

    ``conversation_of`` and ``messages_of`` turn them into values, which takes most of the time.

    Attributes:
        unpacked: its bytes before compression without its images, with the overheads of its
            messages.
        images: bytes of its images.
    """

    head: HeadRecord | None
    messages: Sequence[MessageRecord]
    unpacked: int
    images: int = 0


@frozen
class EncodedFrame:
    """A frame that is ready to be sealed; ``unpacked`` and ``images`` as in ``FrameContent``."""

    packed: bytes
    unpacked: int
    images: int = 0


@frozen
class SizeBefore:
    """The sizes of all frames before a frame: sealed, and as in ``FrameContent``."""

    sealed: int = 0
    unpacked: int = 0
    images: int = 0


_NOTHING_BEFORE: Final = SizeBefore()
_TURN: Final = HeadRecord.__struct_fields__.index("turn")


def size_before(head: HeadRecord) -> SizeBefore:
    """The bytes of all frames before the one with this head."""
    stored = head.size_before
    return SizeBefore(stored) if isinstance(stored, int) else SizeBefore(*stored[:3])


def prompt_from(head: HeadRecord) -> int:
    """As ``Conversation.prompt_from``."""
    first = head.working_memory_from
    return min(first, head.instructions_from) if head.has_instructions else first


_HEAD_DEFAULTS: Final = tuple(field.default for field in msgspec.structs.fields(HeadRecord))
_TURN_DEFAULTS: Final = tuple(field.default for field in msgspec.structs.fields(TurnRecord))
_TURN_MEMBERS: Final = TurnRecord.__struct_fields__.index("cut_at")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(FrameRecord)


def encode_frame(
    messages: Sequence[Message],
    *,
    head: Conversation | None = None,
    before: SizeBefore = _NOTHING_BEFORE,
    max_bytes: int = RECORD_MAX_BYTES,
    max_image_bytes: int = MAX_CONVERSATION_IMAGE_BYTES,
    labelled: bool = False,
) -> EncodedFrame:
    """The packed record of a frame with ``messages`` and, unless ``head`` is None, with a head.

    With ``labelled``, ``first_number`` can read the number of its first message.

    Raises:
        RecordTooLarge: the record has more than ``max_bytes`` before compression, not counting its
            images; or these have more than ``max_image_bytes``.
    """
    images = _image_bytes(messages)
    if images > max_image_bytes:
        raise RecordTooLarge
    records = [message_record(message) for message in messages]
    record = _encoder.encode((None if head is None else _head_members(head, before), records))
    label = messages[0].number if labelled and messages else None
    packed = pack(record, max_bytes + images, label=label)
    return EncodedFrame(packed, len(record) - images + _overhead(messages), images)


def first_number(packed: bytes) -> int | None:
    """The number of the first message in a packed frame; None if the frame has no label."""
    return label_of(packed)


def decode_frame(packed: bytes, max_bytes: int = RECORD_MAX_BYTES) -> FrameContent:
    """Decode the packed record of a frame.

    Raises:
        DecodeError: its version is unknown, it is damaged, or it has more than ``max_bytes`` before
            compression, not counting its images; or these are too large for a conversation.
    """
    try:
        unpacked = unpack(packed, max_bytes + MAX_CONVERSATION_IMAGE_BYTES)
        record = _decoder.decode(unpacked)
    except MALFORMED as error:
        # The cause may contain message text.
        raise DecodeError(type(error).__name__) from None
    messages = record.messages
    images = sum(map(image_bytes_of, messages))
    size = len(unpacked) - images
    if size > max_bytes or images > MAX_CONVERSATION_IMAGE_BYTES:
        raise DecodeError("too large")
    return FrameContent(record.head, messages, size + _overhead(messages), images)


def messages_of(records: Iterable[MessageRecord]) -> tuple[Message, ...]:
    """The messages of these records.

    Raises:
        DecodeError: a value is invalid.
    """
    try:
        return tuple([message_of(record) for record in records])
    except MALFORMED as error:
        # The cause may contain message text.
        raise DecodeError(type(error).__name__) from None


def _image_bytes(messages: Sequence[Message]) -> int:
    return sum(message.image_bytes for message in messages)


def _overhead(messages: Sequence[Message] | Sequence[MessageRecord]) -> int:
    parts = sum(len(message.parts) for message in messages)
    return MESSAGE_OVERHEAD_BYTES * len(messages) + PART_OVERHEAD_BYTES * parts


def conversation_of(
    session_id: SessionId, head: HeadRecord, records: Sequence[MessageRecord]
) -> Conversation:
    """The conversation with this head, and with the messages of ``records`` as its newest ones.

    Raises:
        DecodeError: a value is invalid, or there are more messages than the head counts.
    """
    if head.count < len(records):
        raise DecodeError("more messages than the head counts")
    try:
        conversation = Conversation(
            id=session_id,
            locale=head.locale,
            created_at=time_of(head.created_at),
            retained_since=time_of(head.retained_since),
            retained_for=timedelta(seconds=head.retained_for),
            messages=messages_of(records),
            earlier=head.count - len(records),
            next_number=head.next_number,
            turn=None if head.turn is None else turn_of_record(head.turn),
            working_memory_from=head.working_memory_from,
            summary=head.summary,
            metadata=head.metadata,
            instructions_from=head.instructions_from if head.has_instructions else None,
            summarized_until=head.summarized_until,
            folding=None if head.folding is None else folding_of_record(head.folding),
            carried_summary=head.carried_summary,
            prompt_name=head.prompt_name,
            hook_state=head.hook_state,
            earlier_keys=() if head.turn is None else earlier_keys_of(head.turn),
        )
        # Fails if that is later than ``datetime.max``.
        _ = conversation.expires_at
    except MALFORMED as error:
        raise DecodeError(type(error).__name__) from None
    return conversation


def _head_members(conversation: Conversation, before: SizeBefore) -> tuple[object, ...]:
    members = msgspec.structs.astuple(_head_record(conversation, before))
    if conversation.turn is not None:
        turn = _without_defaults(
            msgspec.structs.astuple(members[_TURN]), _TURN_DEFAULTS, _TURN_MEMBERS
        )
        members = (*members[:_TURN], turn, *members[_TURN + 1 :])
    return _without_defaults(members, _HEAD_DEFAULTS)


def _without_defaults(
    members: tuple[object, ...], defaults: tuple[object, ...], at_least: int = 0
) -> tuple[object, ...]:
    """The members, without those at the end that are defaults; ``at_least`` so many remain."""
    count = len(members)
    while count > at_least and members[count - 1] == defaults[count - 1]:
        count -= 1
    return members[:count]


def _head_record(conversation: Conversation, before: SizeBefore) -> HeadRecord:
    return HeadRecord(
        conversation.locale,
        microseconds(conversation.created_at),
        microseconds(conversation.retained_since),
        int(conversation.retained_for.total_seconds()),
        conversation.earlier + len(conversation.messages),
        _size_record(before),
        conversation.next_number,
        None
        if conversation.turn is None
        else turn_record(conversation.turn, conversation.earlier_keys),
        conversation.working_memory_from,
        conversation.summary,
        None,
        dict(conversation.metadata),
        conversation.instructions_from is not None,
        conversation.instructions_from or 1,
        conversation.summarized_until,
        None if conversation.folding is None else folding_record(conversation.folding),
        conversation.carried_summary,
        conversation.prompt_name,
        conversation.hook_state,
    )


def _size_record(before: SizeBefore) -> int | tuple[int, ...]:
    if not before.sealed:
        return 0
    sizes = (before.sealed, before.unpacked)
    # An older release reads two numbers only.
    return (*sizes, before.images) if before.images else sizes
