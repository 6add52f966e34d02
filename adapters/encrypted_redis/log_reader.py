"""Reading turn logs: who may, what there is, and how long the writer has been silent."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from adapters.encrypted_redis.commands import Commands
from adapters.encrypted_redis.keyspace import ENDED_STAY, RUNNING_STAY, log_key
from adapters.encrypted_redis.log_entries import LogEntries
from adapters.encrypted_redis.scripts import READ
from adapters.sealing.sealer import Sealer
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.turn import TurnEnd
from ports.errors import StoredStateUnreadable, TurnNotLogged
from ports.turn_log import LogEntry


@frozen
class Log:
    """What was read of a log.

    Attributes:
        left: how long it stays if nothing more is written.
        has_ended: whether its end stands in it, read or not.
    """

    left: timedelta
    has_ended: bool
    entries: Sequence[LogEntry]

    @property
    def silence(self) -> timedelta:
        """How long its writer gave no sign of life, on Redis's clock."""
        return (ENDED_STAY if self.has_ended else RUNNING_STAY) - self.left


class LogReader:
    """Reads logs and leaves no trace."""

    def __init__(self, commands: Commands, sealer: Sealer) -> None:
        """Entries are opened with ``sealer``."""
        self._commands = commands
        self._sealer = sealer

    async def is_of(self, owner: Owner, session_id: SessionId) -> bool:
        """Whether there is a log, and of this owner.

        Raises:
            StoredStateUnreadable: what stands there is no log of ours.
        """
        entries: list[Any] = await self._commands.repeatable(
            "follow", "XRANGE", log_key(session_id), "-", "+", "COUNT", 1
        )
        if not entries:
            return False
        try:
            _, turn_id, _, head = entries[0][1]
            known = LogEntries(self._sealer, owner, session_id, TurnId(turn_id.decode()))
        except ValueError as error:
            raise StoredStateUnreadable from error
        return known.is_ours(head)

    async def read(self, owner: Owner, session_id: SessionId, turn_id: TurnId, after: int) -> Log:
        """The entries behind piece ``after``, the end last.

        Raises:
            TurnNotLogged: this turn has no log, or it is another owner's.
            StoredStateUnreadable: an entry does not open, or one before it is missing.
        """
        answer = await self._commands.run(
            "follow", READ, (log_key(session_id),), turn_id, after + 1, repeat=True
        )
        if isinstance(answer, bytes):
            raise TurnNotLogged
        sealed = LogEntries(self._sealer, owner, session_id, turn_id)
        try:
            return _log_of(answer, sealed, after)
        except (ValueError, LookupError, TypeError) as error:
            # Somebody else wrote it.
            raise StoredStateUnreadable from error


def _log_of(answer: Sequence[Any], sealed: LogEntries, after: int) -> Log:
    _, head, left, has_ended, entries = answer
    if not sealed.is_ours(head):
        raise TurnNotLogged
    found = [one for entry in entries for one in _opened(sealed, entry)]
    wanted = list(_in_order(found, after))
    return Log(timedelta(milliseconds=left), bool(has_ended), wanted)


def _in_order(found: Iterable[LogEntry], after: int) -> Iterator[LogEntry]:
    """Each piece behind ``after`` once: one that was sent and not acknowledged is sent again."""
    for one in found:
        if isinstance(one, TurnEnd):
            yield one
        elif one.number > after + 1:
            # What was lost is written again before anything is put behind it.
            raise StoredStateUnreadable
        elif one.number > after:
            after = one.number
            yield one


def _opened(sealed: LogEntries, entry: tuple[bytes, list[bytes]]) -> list[LogEntry]:
    entry_id, fields = entry
    return sealed.opened(int(entry_id.partition(b"-")[2]), fields[1])
