"""Turn logs in Redis, as streams of sealed entries. See ``docs/redis_layout.md``."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from adapters.encrypted_redis.commands import Commands
from adapters.encrypted_redis.keyspace import ENDED_STAY, RUNNING_STAY, log_key, milliseconds
from adapters.encrypted_redis.log_entries import END_NUMBER, LogEntries
from adapters.encrypted_redis.log_reader import LogReader
from adapters.encrypted_redis.producing import Producing
from adapters.encrypted_redis.scripts import APPEND, END, STOP, Script
from adapters.sealing.sealer import Sealer
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.piece import NumberedPiece
from domain.model.turn import Turn, TurnEnd
from ports.clock import Clock
from ports.errors import StoreUnavailable
from ports.turn_log import LogEntry, Writing

_WRITINGS: Final = {
    b"OK": Writing.GO_ON,
    b"STOPPED": Writing.STOPPED,
    b"SUPERSEDED": Writing.SUPERSEDED,
    b"GONE": Writing.GONE,
}
_FIRST_LOOK: Final = timedelta(milliseconds=20)
_SELDOM: Final = timedelta(milliseconds=320)


@frozen(kw_only=True)
class Batching:
    """How long and how much pieces may wait in memory before Redis gets them."""

    within: timedelta = timedelta(milliseconds=100)
    characters: int = 256


class RedisTurnLog:
    """One stream a conversation, of its newest turn."""

    def __init__(
        self, *, commands: Commands, sealer: Sealer, clock: Clock, batching: Batching
    ) -> None:
        """``clock`` tells when a batch is due and waits between two looks at a foreign turn."""
        self._commands = commands
        self._sealer = sealer
        self._clock = clock
        self._batching = batching
        self._reader = LogReader(commands, sealer)
        self._producing: dict[SessionId, Producing] = {}

    def head(self, owner: Owner, session_id: SessionId, turn: Turn) -> tuple[str, str, bytes, int]:
        """What opens the turn's log: turn id, entry id, entry, stay in milliseconds."""
        entry = self._entries(owner, session_id, turn.id).head()
        return turn.id, f"{turn.number}-0", entry, milliseconds(RUNNING_STAY)

    def let_go(self, session_id: SessionId) -> None:
        """Keep nothing of this conversation's turn in memory; its followers look at Redis."""
        producing = self._producing.pop(session_id, None)
        if producing is not None:
            producing.stop_flushing()
            producing.wake()

    async def is_of(self, owner: Owner, session_id: SessionId) -> bool:
        """Whether there is a log, and of this owner."""
        return await self._reader.is_of(owner, session_id)

    async def append(
        self, owner: Owner, session_id: SessionId, turn: Turn, pieces: Sequence[NumberedPiece]
    ) -> Writing:
        """See ``ports.turn_log.TurnLog.append``."""
        producing = self._producing.get(session_id)
        if producing is None or producing.turn.id != turn.id:
            producing = Producing(owner, turn, self._clock.monotonic())
            self._producing[session_id] = producing
        producing.alive_at = self._clock.monotonic()
        producing.add(pieces)
        if producing.is_in_flight or (pieces and not self._is_due(producing)):
            self._flush_soon(session_id, producing)
            return producing.writing
        # A Redis that takes longer holds up nobody: the writer learns of it with its next piece.
        return await producing.sent_within(
            self._flush(session_id, producing), self._batching.within
        )

    def _is_due(self, producing: Producing) -> bool:
        if producing.sent_at is None or producing.unsent_bytes >= self._batching.characters:
            return True
        return self._clock.monotonic() - producing.sent_at >= self._batching.within

    def _flush_soon(self, session_id: SessionId, producing: Producing) -> None:
        async def later() -> None:
            await self._clock.sleep(self._batching.within)
            producing.flushing = None
            # The writer learns of it with its next piece or sign of life.
            with suppress(StoreUnavailable):
                await self._flush(session_id, producing)

        if producing.flushing is None:
            producing.flushing = asyncio.create_task(later())

    async def _flush(self, session_id: SessionId, producing: Producing) -> Writing:
        turn, pieces, upto = producing.turn, list(producing.unsent), len(producing.pieces)
        number = pieces[-1].number if pieces else ""
        entries = self._entries(producing.owner, session_id, turn.id)
        entry = entries.entry(pieces[-1].number, pieces) if pieces else b""
        producing.sent_at = self._clock.monotonic()
        answer = await self._script(
            "log", APPEND, session_id, turn.id, milliseconds(RUNNING_STAY), number, entry
        )
        producing.writing = _WRITINGS[answer]
        producing.sent = max(producing.sent, upto)
        if producing.writing in (Writing.SUPERSEDED, Writing.GONE):
            self._drop(session_id, producing)
        return producing.writing

    async def end(self, owner: Owner, session_id: SessionId, turn: Turn, end: TurnEnd) -> None:
        """See ``ports.turn_log.TurnLog.end``."""
        producing = self._producing.get(session_id)
        ours = producing if producing is not None and producing.turn.id == turn.id else None
        unsent = list(ours.unsent) if ours else []
        if ours is not None:
            ours.stop_flushing()
        entry = self._entries(owner, session_id, turn.id).entry(END_NUMBER, unsent, end)
        try:
            await self._script("log", END, session_id, turn.id, milliseconds(ENDED_STAY), entry)
        finally:
            if ours is not None:
                # Those who follow here need not wait for a log that is away.
                ours.end = end
                self._drop(session_id, ours)

    def _drop(self, session_id: SessionId, producing: Producing) -> None:
        if self._producing.get(session_id) is producing:
            self.let_go(session_id)

    async def stop(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> bool:
        """See ``ports.turn_log.TurnLog.stop``."""
        if not await self._reader.is_of(owner, session_id):
            return False
        return bool(await self._script("stop", STOP, session_id, turn_id) == b"OK")

    async def read(
        self, owner: Owner, session_id: SessionId, turn_id: TurnId, after: int, wait: timedelta
    ) -> Sequence[LogEntry]:
        """See ``ports.turn_log.TurnLog.read``."""
        deadline, pause = self._clock.monotonic() + wait, _FIRST_LOOK
        while True:
            producing = self._own(owner, session_id, turn_id)
            if producing is not None:
                entries: Sequence[LogEntry] = producing.behind(after)
            else:
                log = await self._reader.read(owner, session_id, turn_id, after)
                entries = log.entries
            left = deadline - self._clock.monotonic()
            if entries or left <= timedelta():
                return entries
            if producing is not None:
                await producing.changed_within(left)
                entries = producing.behind(after)
                if entries:
                    return entries
            else:
                await self._clock.sleep(min(pause, left))
                pause = min(pause * 2, _SELDOM)

    async def silence(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> timedelta:
        """See ``ports.turn_log.TurnLog.silence``."""
        producing = self._own(owner, session_id, turn_id)
        if producing is not None:
            return self._clock.monotonic() - producing.alive_at
        log = await self._reader.read(owner, session_id, turn_id, END_NUMBER - 1)
        # A Redis that froze makes every turn look silent, also those whose writers live.
        return min(log.silence, self._commands.well_for)

    def _own(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> Producing | None:
        producing = self._producing.get(session_id)
        if producing is None or producing.turn.id != turn_id or producing.owner != owner:
            return None
        if producing.sent_at is None or self._clock.monotonic() - producing.sent_at < RUNNING_STAY:
            return producing
        # Redis has let go of a log whose writer fell silent, and so do we.
        self.let_go(session_id)
        return None

    def _entries(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> LogEntries:
        return LogEntries(self._sealer, owner, session_id, turn_id)

    async def _script(
        self, doing: str, script: Script, session_id: SessionId, *arguments: bytes | str | int
    ) -> Any:
        return await self._commands.run(
            doing, script, (log_key(session_id),), *arguments, repeat=script is not APPEND
        )
