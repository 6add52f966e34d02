"""Writing turn logs: which entries Redis gets, and what it says to them."""

from collections.abc import Sequence

from adapters.encrypted_redis.commands import Commands
from adapters.encrypted_redis.keyspace import ENDED_STAY, RUNNING_STAY, log_key, milliseconds
from adapters.encrypted_redis.log_entries import END_NUMBER, LogEntries
from adapters.encrypted_redis.scripts import APPEND, END, STOP
from adapters.sealing.sealer import Sealer
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.piece import NumberedPiece
from domain.model.turn import Turn, TurnEnd


class LogWriter:
    """Writes to logs. ``behind`` is always the number of the piece that Redis is to have last."""

    def __init__(self, commands: Commands, sealer: Sealer) -> None:
        """Entries are sealed with ``sealer``."""
        self._commands = commands
        self._sealer = sealer

    def head(self, owner: Owner, session_id: SessionId, turn: Turn) -> tuple[str, str, bytes, int]:
        """What opens the turn's log: turn id, entry id, entry, stay in milliseconds."""
        entry = LogEntries(self._sealer, owner, session_id, turn.id).head()
        return turn.id, f"{turn.number}-0", entry, milliseconds(RUNNING_STAY)

    async def append(
        self,
        owner: Owner,
        session_id: SessionId,
        turn: Turn,
        pieces: Sequence[NumberedPiece],
        behind: int,
    ) -> bytes:
        """``OK``, ``STOPPED``, ``SUPERSEDED``, ``GONE``; or ``BEHIND`` when it has lost some.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        number = pieces[-1].number if pieces else ""
        entries = LogEntries(self._sealer, owner, session_id, turn.id)
        entry = entries.entry(pieces[-1].number, pieces) if pieces else b""
        key, stay = log_key(session_id), milliseconds(RUNNING_STAY)
        answer: bytes = await self._commands.run(
            "log", APPEND, (key,), turn.id, stay, behind, number, entry, repeat=False
        )
        return answer

    async def end(
        self,
        owner: Owner,
        session_id: SessionId,
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
        entries = LogEntries(self._sealer, owner, session_id, turn.id)
        entry = entries.entry(END_NUMBER, pieces, end)
        key, stay = log_key(session_id), milliseconds(ENDED_STAY)
        answer: bytes = await self._commands.run(
            "log", END, (key,), turn.id, stay, behind, entry, repeat=True
        )
        return answer

    async def stop(self, session_id: SessionId, turn_id: TurnId) -> bytes:
        """``OK``, ``ENDED``, ``SUPERSEDED`` or ``GONE``.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        key = log_key(session_id)
        answer: bytes = await self._commands.run("stop", STOP, (key,), turn_id, repeat=True)
        return answer
