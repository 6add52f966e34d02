"""Two records that are parts of a conversation's head: the newest turn, and a claim to fold."""

from collections.abc import Sequence

from msgspec import Struct

from adapters.wire_format.message_record import long_id, microseconds, short_id, time_of
from domain.model.conversation import Folding
from domain.model.identifiers import ProcessId, TurnId
from domain.model.turn import REMEMBERED_KEY_BYTES, CutPoint, IdempotencyKey, Turn, TurnStatus

_STATUSES = (TurnStatus.OPEN, TurnStatus.FINISHED, TurnStatus.INTERRUPTED, TurnStatus.FAILED)


class TurnRecord(Struct, array_like=True):
    """See ``Turn``; times are in microseconds since 1970.

    Attributes:
        id: 16 bytes.
        idempotency: the digest of the key and the digest of the request, both empty if only earlier
            turns had keys. If there are earlier keys, a third item holds all of them, joined. None
            if there are no keys.
        process: 8 bytes; None in records of older releases.
        cut_at: the two numbers of ``CutPoint``.
        parts_before: see ``Turn``.

    The last two are left out if they are None.
    """

    id: bytes
    number: int
    reply_id: bytes
    opened_at: int
    status: int
    continues: bool
    idempotency: tuple[bytes, ...] | None
    ended_at: int | None
    error: str | None
    process: bytes | None = None
    cut_at: tuple[int, int] | None = None
    parts_before: int | None = None


def turn_record(turn: Turn, earlier_keys: Sequence[bytes]) -> TurnRecord:
    """The record of a turn and of the keys of earlier turns."""
    return TurnRecord(
        bytes.fromhex(turn.id),
        turn.number,
        short_id(turn.reply_id),
        microseconds(turn.opened_at),
        _STATUSES.index(turn.status),
        turn.continues,
        _key_record(turn.idempotency, earlier_keys),
        None if turn.ended_at is None else microseconds(turn.ended_at),
        turn.error,
        None if turn.process is None else bytes.fromhex(turn.process),
        None if turn.cut_at is None else (turn.cut_at.parts, turn.cut_at.characters),
        turn.parts_before,
    )


def _key_record(
    key: IdempotencyKey | None, earlier_keys: Sequence[bytes]
) -> tuple[bytes, ...] | None:
    digests = None if key is None else (key.digest, key.body_digest)
    if not earlier_keys:
        return digests
    return (*(digests or (b"", b"")), b"".join(earlier_keys))


def turn_of_record(record: TurnRecord) -> Turn:
    """The turn of a record; the errors are among ``packing.MALFORMED``."""
    return Turn(
        id=TurnId(record.id.hex()),
        number=record.number,
        reply_id=long_id(record.reply_id),
        opened_at=time_of(record.opened_at),
        status=_STATUSES[record.status],
        continues=record.continues,
        idempotency=_key(record),
        ended_at=None if record.ended_at is None else time_of(record.ended_at),
        error=record.error,
        process=None if record.process is None else ProcessId(record.process.hex()),
        cut_at=_cut_point(record),
        parts_before=record.parts_before,
    )


def _cut_point(record: TurnRecord) -> CutPoint | None:
    if record.cut_at is None:
        return None
    parts, characters = record.cut_at
    return CutPoint(parts=parts, characters=characters)


def _key(record: TurnRecord) -> IdempotencyKey | None:
    digest, body_digest, *_ = record.idempotency or (b"", b"")
    return IdempotencyKey(digest=digest, body_digest=body_digest) if digest else None


def earlier_keys_of(record: TurnRecord) -> tuple[bytes, ...]:
    """What the record has of the keys of earlier turns; see ``Conversation.earlier_keys``."""
    _, _, *joined = record.idempotency or (b"", b"")
    keys, size = b"".join(joined), REMEMBERED_KEY_BYTES
    return tuple(keys[start : start + size] for start in range(0, len(keys), size))


class FoldingRecord(Struct, array_like=True):
    """See ``Folding``; ``process`` has 8 bytes, ``since`` is in microseconds since 1970."""

    process: bytes
    since: int
    until: int


def folding_record(folding: Folding) -> FoldingRecord:
    """The record of a claim."""
    return FoldingRecord(bytes.fromhex(folding.process), microseconds(folding.since), folding.until)


def folding_of_record(record: FoldingRecord) -> Folding:
    """The claim of a record; the errors are among ``packing.MALFORMED``."""
    return Folding(
        process=ProcessId(record.process.hex()),
        since=time_of(record.since),
        until=record.until,
    )
