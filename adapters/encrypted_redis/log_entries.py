"""Log entries, sealed: each is bound to its turn and to its own number within it."""

from collections.abc import Sequence
from typing import Final

from adapters.sealing.sealer import Belonging, BoundSealer, Kind, Sealer, Unopenable
from adapters.wire_format.packing import Unpackable
from adapters.wire_format.turn_piece import decode_entry, encode_entry
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.piece import NumberedPiece
from domain.model.turn import TurnEnd
from ports.errors import StoredStateUnreadable
from ports.turn_log import LogEntry

END_NUMBER: Final = 2**64 - 1
"""No stream takes an entry behind the one with this number, whatever comes late."""


class LogEntries:
    """Seals and opens the entries of one turn's log."""

    def __init__(
        self, sealer: Sealer, owner: Owner, session_id: SessionId, turn_id: TurnId
    ) -> None:
        """Keys are derived when they are needed."""
        self._sealer: BoundSealer = sealer.bound(owner, Kind.TURN, session_id)
        self._turn = bytes.fromhex(turn_id)

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
        return self._sealer.belonging(head) is Belonging.OURS

    def opened(self, number: int, sealed: bytes) -> list[LogEntry]:
        """What the entry ``number`` holds.

        Raises:
            StoredStateUnreadable: it is not as it was sealed.
        """
        try:
            return decode_entry(self._sealer.open(sealed, before=self._place(number)))
        except (Unopenable, Unpackable) as error:
            raise StoredStateUnreadable from error

    def _sealed(self, number: int, record: bytes) -> bytes:
        return self._sealer.seal(record, span=(number, number), before=self._place(number))

    def _place(self, number: int) -> bytes:
        return self._turn + number.to_bytes(8, "big")
