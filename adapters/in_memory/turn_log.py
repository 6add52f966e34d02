"""Turn logs in this process's memory: the reference implementation of the turn log port.

Nothing awaits between reading a log and changing it, so one event loop needs no locks.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import define, field

from adapters.in_memory.expiries import Expiries
from domain.model.identifiers import ConversationRef, Owner, SessionId, TurnId, TurnRef
from domain.model.piece import NumberedPiece, piece_bytes
from domain.model.turn import Turn, TurnEnd
from ports.clock import Clock
from ports.errors import TurnLogNotFound
from ports.turn_log import AppendResult, Batch

_RETAINED_WHILE_RUNNING: Final = timedelta(minutes=10)
_RETAINED_AFTER_END: Final = timedelta(seconds=60)
MAX_ENDED_BYTES: Final = 50_000_000


@define
class _Log:
    """One turn's log; ``changed`` wakes its waiting readers."""

    owner: Owner
    turn_id: TurnId
    alive_at: timedelta
    pieces: list[NumberedPiece] = field(factory=list)
    end: TurnEnd | None = None
    stopped: bool = False
    size: int = 0
    changed: asyncio.Event = field(factory=asyncio.Event)

    def wake_readers(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def last_number(self) -> int:
        return self.pieces[-1].number if self.pieces else 0

    def batch_after(self, number: int) -> Batch:
        # A log that was lost and opened again may lack pieces, so a number is not a list index.
        newest = self.pieces[-max(self.last_number - number, 1) :]
        return Batch(pieces=(piece for piece in newest if piece.number > number), end=self.end)


class InMemoryTurnLog:
    """One log per conversation, for its newest turn.

    Logs of open turns need no limit, because the runner limits how many turns run and each reply
    is limited. Logs of ended turns are evicted, oldest first, when they hold more than
    ``max_ended_bytes`` together.
    """

    def __init__(self, *, clock: Clock, max_ended_bytes: int = MAX_ENDED_BYTES) -> None:
        """``clock`` decides when logs expire."""
        self._clock = clock
        self._max_ended_bytes = max_ended_bytes
        self._logs: dict[SessionId, _Log] = {}
        self._expiries = Expiries()
        self._ended: dict[SessionId, int] = {}

    def open(self, ref: ConversationRef, turn: Turn) -> None:
        """Open the log of a new turn; the previous turn's log is deleted."""
        self._forget_expired()
        self.forget(ref.session_id)
        log = self._logs[ref.session_id] = _Log(ref.owner, turn.id, self._clock.monotonic())
        self._keep_alive(ref.session_id, log)

    def exists_for(self, ref: ConversationRef) -> bool:
        """Whether this owner's conversation has a log."""
        return self._find(ref) is not None

    def forget(self, session_id: SessionId) -> None:
        """Delete the log; no error if there is none."""
        log = self._logs.pop(session_id, None)
        self._ended.pop(session_id, None)
        self._expiries.remove(session_id)
        if log is not None:
            log.wake_readers()

    async def append(
        self, ref: ConversationRef, turn: Turn, pieces: Sequence[NumberedPiece]
    ) -> AppendResult:
        """See ``ports.turn_log.TurnLog.append``."""
        log = self._find(ref)
        if log is None:
            return AppendResult.GONE
        if log.turn_id != turn.id or log.end is not None:
            return AppendResult.SUPERSEDED
        self._keep_alive(ref.session_id, log)
        new = [piece for piece in pieces if piece.number > log.last_number]
        if new:
            log.pieces.extend(new)
            log.size += sum(piece_bytes(numbered.piece) for numbered in new)
            log.wake_readers()
        return AppendResult.STOPPED if log.stopped else AppendResult.CONTINUE

    async def end(self, ref: ConversationRef, turn: Turn, end: TurnEnd) -> None:
        """See ``ports.turn_log.TurnLog.end``."""
        log = self._find(ref)
        if log is not None and log.turn_id == turn.id and log.end is None:
            log.end = end
            self._keep_alive(ref.session_id, log)
            log.wake_readers()
            self._ended[ref.session_id] = log.size
            self._make_room()

    async def stop(self, turn_ref: TurnRef) -> bool:
        """See ``ports.turn_log.TurnLog.stop``."""
        log = self._find(turn_ref.conversation)
        if log is None or log.turn_id != turn_ref.turn_id or log.end is not None:
            return False
        log.stopped = True
        return True

    async def read(self, turn_ref: TurnRef, after: int, wait: timedelta) -> Batch:
        """See ``ports.turn_log.TurnLog.read``."""
        log = self._log_of(turn_ref)
        batch = log.batch_after(after)
        if not batch.is_empty or not wait:
            return batch
        with suppress(TimeoutError):
            async with asyncio.timeout(wait.total_seconds()):
                while batch.is_empty:
                    await log.changed.wait()
                    batch = self._log_of(turn_ref).batch_after(after)
        return batch

    def healthy_for(self) -> timedelta:
        """See ``ports.turn_log.TurnLog.healthy_for``."""
        return timedelta.max

    async def silence(self, turn_ref: TurnRef) -> timedelta:
        """See ``ports.turn_log.TurnLog.silence``."""
        log = self._log_of(turn_ref)
        return self._clock.monotonic() - log.alive_at

    def _log_of(self, turn_ref: TurnRef) -> _Log:
        log = self._find(turn_ref.conversation)
        if log is None or log.turn_id != turn_ref.turn_id:
            raise TurnLogNotFound
        return log

    def _find(self, ref: ConversationRef) -> _Log | None:
        self._forget_expired()
        log = self._logs.get(ref.session_id)
        return log if log is not None and log.owner == ref.owner else None

    def _forget_expired(self) -> None:
        for expired in self._expiries.due(self._clock.monotonic()):
            self.forget(expired)

    def _keep_alive(self, session_id: SessionId, log: _Log) -> None:
        log.alive_at = self._clock.monotonic()
        retained_for = _RETAINED_AFTER_END if log.end else _RETAINED_WHILE_RUNNING
        self._expiries.put(session_id, log.alive_at + retained_for)

    def _make_room(self) -> None:
        while sum(self._ended.values()) > self._max_ended_bytes and len(self._ended) > 1:
            self.forget(next(iter(self._ended)))
