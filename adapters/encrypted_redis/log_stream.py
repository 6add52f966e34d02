"""A turn's log in Redis: a stream of sealed entries.

    entry id              content
    ───────────────────   ─────────────────────────────────────────────────────────────
    <turn number>-0       the head: no pieces; beside it the turn's random id, unsealed
    <turn number>-<n>     a batch of pieces, the last of them with number n
    <turn number>-2⁶⁴-1   the pieces that were not yet sent, and the turn's end

Each entry is sealed for its owner, together with the turn's id and its own number, so it opens only
where it was written. A batch whose reply was lost may be sent again, so a piece can be in two
entries; it is returned once.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from adapters.encrypted_redis.keys_and_scripts import (
    APPEND,
    END,
    ENDED_TTL,
    READ,
    RUNNING_TTL,
    log_key,
    milliseconds,
)
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.sealing.sealer import BoundSealer, Ownership, RecordKind, Sealer, UnsealError
from adapters.wire_format.packing import DecodeError
from adapters.wire_format.turn_piece import decode_entry, encode_entry
from domain.model.identifiers import ConversationRef, TurnId, TurnRef
from domain.model.piece import NumberedPiece
from domain.model.turn import Turn, TurnEnd
from ports.errors import StoredStateUnreadable, TurnLogNotFound
from ports.turn_log import Batch

END_NUMBER: Final = 2**64 - 1
"""The highest number of an entry id, so Redis accepts no entry of the turn after the end."""


class LogWriter:
    """Writes one turn's log. Returns the replies of the scripts in ``keys_and_scripts``."""

    def __init__(
        self, client: RedisClient, sealer: Sealer, ref: ConversationRef, turn: Turn
    ) -> None:
        """Entries are sealed with ``sealer`` for the owner in ``ref``."""
        self.ref = ref
        self.turn = turn
        self._client = client
        self._key = log_key(ref.session_id)
        self._entries = EntrySealer(sealer, TurnRef(ref, turn.id))

    @property
    def is_crowded(self) -> bool:
        """Whether half of the connection's bound is used up; entries should then wait."""
        return self._client.is_crowded

    def head(self) -> tuple[str, str, bytes, int]:
        """The arguments of SPLICE and REOPEN: turn id, entry id, sealed head, ttl in ms."""
        entry_id = f"{self.turn.number}-0"
        return self.turn.id, entry_id, self._entries.head(), milliseconds(RUNNING_TTL)

    async def append(self, pieces: Sequence[NumberedPiece], after: int) -> bytes:
        """Write pieces directly after piece ``after``; without pieces, only renew the ttl.

        Returns:
            ``OK``, ``STOPPED``, ``SUPERSEDED`` or ``GONE``; ``BEHIND`` if Redis lacks piece
            ``after``.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        number = pieces[-1].number if pieces else ""
        entry = self._entries.entry(pieces[-1].number, pieces) if pieces else b""
        ttl = milliseconds(RUNNING_TTL)
        reply: bytes = await self._client.run_script(
            "log", APPEND, (self._key,), self.turn.id, ttl, after, number, entry, repeat=False
        )
        return reply

    async def end(
        self, end: TurnEnd, pieces: Sequence[NumberedPiece] = (), after: int = 0
    ) -> bytes:
        """Write the end, with ``pieces`` that directly follow piece ``after``.

        Returns:
            ``OK``, ``SUPERSEDED`` or ``GONE``; ``BEHIND`` if Redis lacks piece ``after``.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        entry, ttl = self._entries.entry(END_NUMBER, pieces, end), milliseconds(ENDED_TTL)
        reply: bytes = await self._client.run_script(
            "log", END, (self._key,), self.turn.id, ttl, after, entry, repeat=True
        )
        return reply


@frozen
class Log:
    """What was read from a log.

    Attributes:
        ttl: time until it expires if nothing more is written.
        has_ended: whether it contains the turn's end, even if that was not read.
        batch: the pieces that were read, and the end if it was read.
    """

    ttl: timedelta
    has_ended: bool
    batch: Batch

    @property
    def silence(self) -> timedelta:
        """Time since the last write, by Redis's clock: every write restarts the ttl."""
        return (ENDED_TTL if self.has_ended else RUNNING_TTL) - self.ttl


class LogReader:
    """Reads logs without changing anything, and only for their owner."""

    def __init__(self, client: RedisClient, sealer: Sealer) -> None:
        """Entries are unsealed with ``sealer``."""
        self._client = client
        self._sealer = sealer

    async def exists_for(self, ref: ConversationRef) -> bool:
        """Whether the conversation has a log that belongs to this owner.

        Raises:
            StoredStateUnreadable: what is stored there is not one of our logs.
            StoreUnavailable: Redis did not answer.
        """
        with self._client.reporting_unreadable(ref.session_id):
            entries: list[Any] = await self._client.call_idempotent(
                "follow", "XRANGE", log_key(ref.session_id), "-", "+", "COUNT", 1
            )
            if not entries:
                return False
            try:
                _, turn_id, _, head = entries[0][1]
                sealer = EntrySealer(self._sealer, TurnRef(ref, TurnId(turn_id.decode())))
            except ValueError as error:
                raise StoredStateUnreadable from error
            return sealer.is_mine(head)

    async def read(self, turn_ref: TurnRef, after: int) -> Log:
        """The pieces after piece ``after``, and the end if it is there.

        Raises:
            TurnLogNotFound: this turn has no log, or it is another owner's.
            StoredStateUnreadable: an entry cannot be unsealed or decoded, or an entry is missing.
            StoreUnavailable: Redis did not answer.
        """
        session_id = turn_ref.conversation.session_id
        with self._client.reporting_unreadable(session_id):
            reply = await self._client.run_script(
                "follow",
                READ,
                (log_key(session_id),),
                turn_ref.turn_id,
                after + 1,
                repeat=True,
            )
            if isinstance(reply, bytes):
                raise TurnLogNotFound
            try:
                return _log_of(reply, EntrySealer(self._sealer, turn_ref), after)
            except (ValueError, LookupError, TypeError) as error:
                # The fields of an entry are not those that we write.
                raise StoredStateUnreadable from error


def _log_of(reply: Sequence[Any], sealer: "EntrySealer", after: int) -> Log:
    _, head, ttl, has_ended, sealed_entries = reply
    if not sealer.is_mine(head):
        raise TurnLogNotFound
    batches = [
        sealer.unseal(int(entry_id.partition(b"-")[2]), fields[1])
        for entry_id, fields in sealed_entries
    ]
    pieces = _in_order((piece for batch in batches for piece in batch.pieces), after)
    end = batches[-1].end if batches else None
    return Log(timedelta(milliseconds=ttl), bool(has_ended), Batch(pieces=pieces, end=end))


def _in_order(pieces: Iterable[NumberedPiece], after: int) -> Iterator[NumberedPiece]:
    """The pieces after piece ``after``. One that is in several entries is returned once."""
    for piece in pieces:
        if piece.number > after + 1:
            # Our writer never leaves a gap, so an entry was removed or replaced.
            raise StoredStateUnreadable
        if piece.number > after:
            after = piece.number
            yield piece


class EntrySealer:
    """Seals and unseals the entries of one turn's log."""

    def __init__(self, sealer: Sealer, turn_ref: TurnRef) -> None:
        """The key is derived when it is first needed.

        Raises:
            ValueError: the turn's id is not hexadecimal.
        """
        self._sealer: BoundSealer = sealer.bound(
            turn_ref.conversation.owner, RecordKind.TURN, turn_ref.conversation.session_id
        )
        self._turn = bytes.fromhex(turn_ref.turn_id)

    def head(self) -> bytes:
        """The entry that opens a log. It has no content; its owner tag shows whose log it is."""
        return self._seal(0, b"")

    def entry(
        self, number: int, pieces: Sequence[NumberedPiece], end: TurnEnd | None = None
    ) -> bytes:
        """The sealed entry ``number`` with these pieces."""
        return self._seal(number, encode_entry(pieces, end))

    def is_mine(self, head: bytes) -> bool:
        """Whether the log with this head is the owner's."""
        return self._sealer.ownership(head) is Ownership.MINE

    def unseal(self, number: int, sealed: bytes) -> Batch:
        """The content of entry ``number``.

        Raises:
            StoredStateUnreadable: it was changed, or moved here from elsewhere.
        """
        try:
            return decode_entry(self._sealer.unseal(sealed, before=self._position(number)))
        except (UnsealError, DecodeError) as error:
            raise StoredStateUnreadable from error

    def _seal(self, number: int, record: bytes) -> bytes:
        return self._sealer.seal(record, span=(number, number), before=self._position(number))

    def _position(self, number: int) -> bytes:
        return self._turn + number.to_bytes(8, "big")
