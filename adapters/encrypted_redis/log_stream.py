"""Log entries, sealed: each is bound to its turn and to its own number within it.

Reading turn logs: who may, what there is, and how long the writer has been silent.

Writing turn logs: which entries Redis gets, and what it says to them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from adapters.encrypted_redis.keys_and_scripts import (
    APPEND,
    END,
    ENDED_STAY,
    READ,
    RUNNING_STAY,
    STOP,
    log_key,
    milliseconds,
)
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.sealing.sealer import BoundSealer, Ownership, RecordKind, Sealer, UnsealError
from adapters.wire_format.packing import DecodeError
from adapters.wire_format.turn_piece import decode_entry, encode_entry
from domain.model.identifiers import ConversationRef, SessionId, TurnId, TurnRef
from domain.model.piece import NumberedPiece
from domain.model.turn import Turn, TurnEnd
from ports.errors import StoredStateUnreadable, TurnLogNotFound
from ports.turn_log import Batch

END_NUMBER: Final = 2**64 - 1
"""No stream takes an entry behind the one with this number, whatever comes late."""


class EntrySealer:
    """Seals and opens the entries of one turn's log."""

    def __init__(self, sealer: Sealer, turn_ref: TurnRef) -> None:
        """Keys are derived when they are needed."""
        self._sealer: BoundSealer = sealer.bound(
            turn_ref.conversation.owner, RecordKind.TURN, turn_ref.conversation.session_id
        )
        self._turn = bytes.fromhex(turn_ref.turn_id)

    def head(self) -> bytes:
        """The entry that opens a log: it holds nothing and says whose it is."""
        return self._sealed(0, b"")

    def entry(
        self, number: int, pieces: Sequence[NumberedPiece], end: TurnEnd | None = None
    ) -> bytes:
        """The entry ``number`` with these pieces."""
        return self._sealed(number, encode_entry(pieces, end))

    def is_ours(self, head: bytes) -> bool:
        """Whether the log is this owner's, by its head."""
        return self._sealer.ownership(head) is Ownership.MINE

    def opened(self, number: int, sealed: bytes) -> Batch:
        """What the entry ``number`` holds.

        Raises:
            StoredStateUnreadable: it is not as it was sealed.
        """
        try:
            return decode_entry(self._sealer.unseal(sealed, before=self._place(number)))
        except (UnsealError, DecodeError) as error:
            raise StoredStateUnreadable from error

    def _sealed(self, number: int, record: bytes) -> bytes:
        return self._sealer.seal(record, span=(number, number), before=self._place(number))

    def _place(self, number: int) -> bytes:
        return self._turn + number.to_bytes(8, "big")


@frozen
class Log:
    """What was read of a log.

    Attributes:
        left: how long it stays if nothing more is written.
        has_ended: whether its end stands in it, read or not.
    """

    left: timedelta
    has_ended: bool
    batch: Batch

    @property
    def silence(self) -> timedelta:
        """How long its writer gave no sign of life, on Redis's clock."""
        return (ENDED_STAY if self.has_ended else RUNNING_STAY) - self.left


class LogReader:
    """Reads logs and leaves no trace."""

    def __init__(self, commands: RedisClient, sealer: Sealer) -> None:
        """Entries are opened with ``sealer``."""
        self._commands = commands
        self._sealer = sealer

    async def exists_for(self, ref: ConversationRef) -> bool:
        """Whether there is a log, and of this owner.

        Raises:
            StoredStateUnreadable: what stands there is no log of ours.
        """
        entries: list[Any] = await self._commands.call_idempotent(
            "follow", "XRANGE", log_key(ref.session_id), "-", "+", "COUNT", 1
        )
        if not entries:
            return False
        try:
            _, turn_id, _, head = entries[0][1]
            known = EntrySealer(self._sealer, TurnRef(ref, TurnId(turn_id.decode())))
        except ValueError as error:
            raise StoredStateUnreadable from error
        return known.is_ours(head)

    async def read(self, turn_ref: TurnRef, after: int) -> Log:
        """The entries behind piece ``after``, the end last.

        Raises:
            TurnLogNotFound: this turn has no log, or it is another owner's.
            StoredStateUnreadable: an entry does not open, or one before it is missing.
        """
        answer = await self._commands.run_script(
            "follow",
            READ,
            (log_key(turn_ref.conversation.session_id),),
            turn_ref.turn_id,
            after + 1,
            repeat=True,
        )
        if isinstance(answer, bytes):
            raise TurnLogNotFound
        sealed = EntrySealer(self._sealer, TurnRef(turn_ref.conversation, turn_ref.turn_id))
        try:
            return _log_of(answer, sealed, after)
        except (ValueError, LookupError, TypeError) as error:
            # Somebody else wrote it.
            raise StoredStateUnreadable from error


def _log_of(answer: Sequence[Any], sealed: EntrySealer, after: int) -> Log:
    _, head, left, has_ended, entries = answer
    if not sealed.is_ours(head):
        raise TurnLogNotFound
    batches = [_opened(sealed, entry) for entry in entries]
    pieces = _in_order((piece for batch in batches for piece in batch.pieces), after)
    end = batches[-1].end if batches else None
    return Log(timedelta(milliseconds=left), bool(has_ended), Batch(pieces=pieces, end=end))


def _in_order(pieces: Iterable[NumberedPiece], after: int) -> Iterator[NumberedPiece]:
    """Each piece behind ``after`` once: one that was sent and not acknowledged is sent again."""
    for piece in pieces:
        if piece.number > after + 1:
            # What was lost is written again before anything is put behind it.
            raise StoredStateUnreadable
        if piece.number > after:
            after = piece.number
            yield piece


def _opened(sealed: EntrySealer, entry: tuple[bytes, list[bytes]]) -> Batch:
    entry_id, fields = entry
    return sealed.opened(int(entry_id.partition(b"-")[2]), fields[1])


class LogWriter:
    """Writes to logs. ``behind`` is always the number of the piece that Redis is to have last."""

    def __init__(self, commands: RedisClient, sealer: Sealer) -> None:
        """Entries are sealed with ``sealer``."""
        self._commands = commands
        self._sealer = sealer

    def head(self, ref: ConversationRef, turn: Turn) -> tuple[str, str, bytes, int]:
        """What opens the turn's log: turn id, entry id, entry, stay in milliseconds."""
        entry = EntrySealer(self._sealer, TurnRef(ref, turn.id)).head()
        return turn.id, f"{turn.number}-0", entry, milliseconds(RUNNING_STAY)

    async def append(
        self,
        ref: ConversationRef,
        turn: Turn,
        pieces: Sequence[NumberedPiece],
        behind: int,
    ) -> bytes:
        """``OK``, ``STOPPED``, ``SUPERSEDED``, ``GONE``; or ``BEHIND`` when it has lost some.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        number = pieces[-1].number if pieces else ""
        entries = EntrySealer(self._sealer, TurnRef(ref, turn.id))
        entry = entries.entry(pieces[-1].number, pieces) if pieces else b""
        key, stay = log_key(ref.session_id), milliseconds(RUNNING_STAY)
        answer: bytes = await self._commands.run_script(
            "log", APPEND, (key,), turn.id, stay, behind, number, entry, repeat=False
        )
        return answer

    async def end(
        self,
        ref: ConversationRef,
        turn: Turn,
        end: TurnEnd,
        *,
        pieces: Sequence[NumberedPiece] = (),
        behind: int = 0,
    ) -> bytes:
        """``OK``, ``SUPERSEDED`` or ``GONE``; or ``BEHIND`` when it has lost some.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        entries = EntrySealer(self._sealer, TurnRef(ref, turn.id))
        entry = entries.entry(END_NUMBER, pieces, end)
        key, stay = log_key(ref.session_id), milliseconds(ENDED_STAY)
        answer: bytes = await self._commands.run_script(
            "log", END, (key,), turn.id, stay, behind, entry, repeat=True
        )
        return answer

    async def stop(self, session_id: SessionId, turn_id: TurnId) -> bytes:
        """``OK``, ``ENDED``, ``SUPERSEDED`` or ``GONE``.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        key = log_key(session_id)
        answer: bytes = await self._commands.run_script("stop", STOP, (key,), turn_id, repeat=True)
        return answer
