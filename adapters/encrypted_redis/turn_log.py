"""Turn logs in Redis, as streams of sealed entries. See ``docs/redis_layout.md``.

The pieces of a turn that this process produces are also kept in memory, as a ``LocalTurn``:
followers in this process get each piece at once, and Redis gets the pieces in batches.

    event                         idle        scheduled   in flight
    ───────────────────────────   ─────────   ─────────   ───────────────────────────
    append, the batch is due      in flight   in flight   the next batch is scheduled
    append, it is not yet due     scheduled   scheduled   the next batch is scheduled
    100 ms have passed                        in flight   the next batch keeps waiting
    Redis replies                                         idle, or scheduled

A batch is due 100 ms after the previous one, or once it has 256 bytes of text. A heartbeat (an
append without pieces) is due at once. After a failure the next batch waits the full 100 ms, because
otherwise each new piece would seal all unsent ones again. While half of the connection's bound is
used up, no batch is sent, because the store's writes are more urgent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import define, field, frozen

from adapters.encrypted_redis.keys_and_scripts import RUNNING_TTL, STOP, log_key
from adapters.encrypted_redis.log_stream import END_NUMBER, LogReader, LogWriter
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.sealing.sealer import Sealer
from domain.model.identifiers import ConversationRef, SessionId, TurnId, TurnRef
from domain.model.piece import NumberedPiece, piece_bytes
from domain.model.turn import Turn, TurnEnd
from ports.clock import Clock
from ports.turn_log import AppendResult, Batch

_BEHIND: Final = b"BEHIND"
_RESULTS: Final = {
    b"OK": AppendResult.CONTINUE,
    b"STOPPED": AppendResult.STOPPED,
    b"SUPERSEDED": AppendResult.SUPERSEDED,
    b"GONE": AppendResult.GONE,
    _BEHIND: AppendResult.GONE,
}
_FIRST_PAUSE: Final = timedelta(milliseconds=20)
_LONGEST_PAUSE: Final = timedelta(milliseconds=320)


@frozen(kw_only=True)
class Batching:
    """How long pieces wait in memory before Redis gets them, and how many bytes may wait."""

    max_delay: timedelta = timedelta(milliseconds=100)
    max_bytes: int = 256


@define(eq=False, kw_only=True)
class LocalTurn:
    """A turn whose pieces this process produces. The module's docstring has its states.

    Attributes:
        writer: writes its log in Redis.
        alive_at: when it last got pieces or a heartbeat, by the monotonic clock.
        _on_close: called when this turn has ended, or Redis no longer accepts its pieces.
        _pieces: all of them, numbered from 1.
        _end: None until the turn has ended.
        _sent: how many of the pieces Redis has.
        _sent_at: when the last batch was sent, by the monotonic clock; None before the first.
        _has_failed: true from sending a batch until Redis replies; stays true if no reply comes.
        _result: the latest result that Redis returned.
        _scheduled: sends the next batch when it is due; None if none is scheduled.
        _in_flight: the last batch that was sent; it may be done. None before the first.
        _changed: set, and replaced by a new event, whenever followers have something to read.
    """

    writer: LogWriter = field(repr=False)
    alive_at: timedelta
    _clock: Clock = field(repr=False)
    _batching: Batching
    _on_close: Callable[["LocalTurn"], None] = field(repr=False)
    _pieces: list[NumberedPiece] = field(factory=list, init=False, repr=False)
    _end: TurnEnd | None = field(default=None, init=False)
    _sent: int = field(default=0, init=False)
    _sent_at: timedelta | None = field(default=None, init=False)
    _has_failed: bool = field(default=False, init=False)
    _result: AppendResult = field(default=AppendResult.CONTINUE, init=False)
    _scheduled: "asyncio.Task[None] | None" = field(default=None, init=False)
    _in_flight: "asyncio.Task[AppendResult] | None" = field(default=None, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)

    async def append(self, pieces: Sequence[NumberedPiece]) -> AppendResult:
        """See ``ports.turn_log.TurnLog.append``. Waits for Redis for 100 ms at most."""
        now = self.alive_at = self._clock.monotonic()
        if pieces and pieces[0].number > len(self._pieces) + 1:
            return AppendResult.GONE
        self._add(pieces)
        if self.is_in_flight or self.writer.is_crowded or (pieces and not self._is_due(now)):
            self._schedule()
            return self._result
        flush = self._start_flush()
        # Do not wait longer for a slow Redis: the writer gets this result with its next append.
        done, _ = await asyncio.wait([flush], timeout=self._batching.max_delay.total_seconds())
        return flush.result() if done else self._result

    async def end(self, end: TurnEnd) -> None:
        """See ``ports.turn_log.TurnLog.end``."""
        self._cancel_scheduled()
        try:
            reply = await self.writer.end(end, self._pieces[self._sent :], self._sent)
            if reply == _BEHIND:
                await self.writer.end(end, self._pieces)
        finally:
            # Followers in this process get the end even if Redis cannot be reached.
            self._end = end
            self.close()

    async def read(self, after: int, wait: timedelta) -> Batch:
        """The pieces after piece ``after`` and the end; empty if nothing came within ``wait``.

        Returns early if the turn is closed meanwhile, with an empty batch unless there is an end.
        """
        batch = self.batch_after(after)
        if batch.is_empty and wait > timedelta():
            with suppress(TimeoutError):
                async with asyncio.timeout(wait.total_seconds()):
                    await self._changed.wait()
            batch = self.batch_after(after)
        return batch

    def batch_after(self, after: int) -> Batch:
        """The pieces after piece ``after``, and the end if there is one."""
        return Batch(pieces=self._pieces[after:], end=self._end)

    def has_expired(self, now: timedelta) -> bool:
        """Whether nothing was sent for so long that Redis has deleted the log."""
        last = self.alive_at if self._sent_at is None else self._sent_at
        return now - last >= RUNNING_TTL

    def close(self) -> None:
        """Stop sending batches; followers read the turn from Redis from now on."""
        self._cancel_scheduled()
        self._on_close(self)
        self._wake_followers()

    @property
    def is_in_flight(self) -> bool:
        """Whether Redis has not yet replied to the last batch."""
        return self._in_flight is not None and not self._in_flight.done()

    async def wait_idle(self) -> None:
        """Wait until no batch is in flight."""
        while self._in_flight is not None and not self._in_flight.done():
            await asyncio.wait([self._in_flight])

    def _add(self, pieces: Sequence[NumberedPiece]) -> None:
        count = len(self._pieces)
        self._pieces += [piece for piece in pieces if piece.number > count]
        if len(self._pieces) > count:
            self._wake_followers()

    def _wake_followers(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _is_due(self, now: timedelta) -> bool:
        if self._sent_at is None or now - self._sent_at >= self._batching.max_delay:
            return True
        return not self._has_failed and self._is_full()

    def _is_full(self) -> bool:
        size = 0
        for numbered in self._pieces[self._sent :]:
            size += piece_bytes(numbered.piece)
            if size >= self._batching.max_bytes:
                return True
        return False

    def _schedule(self) -> None:
        if self._scheduled is None:
            self._scheduled = asyncio.create_task(self._flush_later())

    def _cancel_scheduled(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None

    async def _flush_later(self) -> None:
        await self._clock.sleep(self._batching.max_delay)
        # Don't queue a second batch while Redis still owes a reply to the first.
        await self.wait_idle()
        while self.writer.is_crowded:
            await self._clock.sleep(self._batching.max_delay)
        self._scheduled = None
        # The writer gets the result with its next append.
        self._start_flush()

    def _start_flush(self) -> "asyncio.Task[AppendResult]":
        self._cancel_scheduled()
        self._in_flight = asyncio.create_task(self._flush())
        self._in_flight.add_done_callback(_retrieve_exception)
        return self._in_flight

    async def _flush(self) -> AppendResult:
        """Send the pieces that Redis does not have, or a heartbeat if it has them all."""
        reply = await self._send_unsent()
        if reply == _BEHIND:
            # Redis restarted without its latest entries, so it gets all pieces again.
            self._sent = 0
            reply = await self._send_unsent()
        self._result = _RESULTS[reply]
        if self._result in (AppendResult.SUPERSEDED, AppendResult.GONE):
            self.close()
        return self._result

    async def _send_unsent(self) -> bytes:
        self._sent_at, self._has_failed = self._clock.monotonic(), True
        count = len(self._pieces)
        reply = await self.writer.append(self._pieces[self._sent :], self._sent)
        self._has_failed = False
        self._sent = count
        return reply


def _retrieve_exception(flush: "asyncio.Task[AppendResult]") -> None:
    """Prevents asyncio from logging a failure that no writer waited for."""
    if not flush.cancelled():
        flush.exception()


class RedisTurnLog:
    """One stream per conversation, for its newest turn."""

    def __init__(
        self, *, client: RedisClient, sealer: Sealer, clock: Clock, batching: Batching
    ) -> None:
        """``clock`` times the batches, and the pauses between reads of another process's turn."""
        self._client = client
        self._sealer = sealer
        self._clock = clock
        self._batching = batching
        self._reader = LogReader(client, sealer)
        self._local_turns: OrderedDict[SessionId, LocalTurn] = OrderedDict()

    def writer(self, ref: ConversationRef, turn: Turn) -> LogWriter:
        """The writer of this turn's log."""
        return LogWriter(self._client, self._sealer, ref, turn)

    def add_local(self, writer: LogWriter) -> None:
        """Keep this turn's pieces in memory from now on; this process has just opened its log."""
        session_id = writer.ref.session_id
        self.drop_local(session_id)
        now = self._clock.monotonic()
        oldest = next(iter(self._local_turns.values()), None)
        if oldest is not None and oldest.has_expired(now):
            oldest.close()
        self._local_turns[session_id] = LocalTurn(
            writer=writer,
            alive_at=now,
            clock=self._clock,
            batching=self._batching,
            on_close=self._remove,
        )

    def drop_local(self, session_id: SessionId) -> None:
        """Drop this conversation's turn from memory; its followers read from Redis from now on."""
        local = self._local_turns.get(session_id)
        if local is not None:
            local.close()

    async def exists_for(self, ref: ConversationRef) -> bool:
        """Whether the conversation has a log that belongs to this owner.

        Raises:
            StoredStateUnreadable: what is stored there is not one of our logs.
            StoreUnavailable: Redis did not answer.
        """
        return await self._reader.exists_for(ref)

    async def append(
        self, ref: ConversationRef, turn: Turn, pieces: Sequence[NumberedPiece]
    ) -> AppendResult:
        """See ``ports.turn_log.TurnLog.append``."""
        local = self._local(ref, turn.id)
        if local is not None:
            return await local.append(pieces)
        after = pieces[0].number - 1 if pieces else 0
        return _RESULTS[await self.writer(ref, turn).append(pieces, after)]

    async def end(self, ref: ConversationRef, turn: Turn, end: TurnEnd) -> None:
        """See ``ports.turn_log.TurnLog.end``."""
        local = self._local(ref, turn.id)
        if local is not None:
            await local.end(end)
        else:
            await self.writer(ref, turn).end(end)

    async def stop(self, turn_ref: TurnRef) -> bool:
        """See ``ports.turn_log.TurnLog.stop``."""
        if not await self._reader.exists_for(turn_ref.conversation):
            return False
        key = log_key(turn_ref.conversation.session_id)
        reply = await self._client.run_script("stop", STOP, (key,), turn_ref.turn_id, repeat=True)
        return bool(reply == b"OK")

    async def read(self, turn_ref: TurnRef, after: int, wait: timedelta) -> Batch:
        """See ``ports.turn_log.TurnLog.read``."""
        deadline, pause = self._clock.monotonic() + wait, _FIRST_PAUSE
        while True:
            local = self._local(turn_ref.conversation, turn_ref.turn_id)
            if local is not None:
                batch = await local.read(after, deadline - self._clock.monotonic())
            else:
                batch = (await self._reader.read(turn_ref, after)).batch
            left = deadline - self._clock.monotonic()
            if not batch.is_empty or left <= timedelta():
                return batch
            if local is None:
                await self._clock.sleep(min(pause, left))
                pause = min(pause * 2, _LONGEST_PAUSE)

    def healthy_for(self) -> timedelta:
        """See ``ports.turn_log.TurnLog.healthy_for``."""
        return self._client.healthy_for

    async def silence(self, turn_ref: TurnRef) -> timedelta:
        """See ``ports.turn_log.TurnLog.silence``."""
        local = self._local(turn_ref.conversation, turn_ref.turn_id)
        if local is not None:
            return self._clock.monotonic() - local.alive_at
        log = await self._reader.read(turn_ref, END_NUMBER - 1)
        # A frozen Redis makes every turn look silent, even those whose writers are alive.
        return min(log.silence, self.healthy_for())

    def _local(self, ref: ConversationRef, turn_id: TurnId) -> LocalTurn | None:
        local = self._local_turns.get(ref.session_id)
        if local is None:
            return None
        if local.writer.turn.id != turn_id or local.writer.ref.owner != ref.owner:
            return None
        if not local.has_expired(self._clock.monotonic()):
            return local
        # Redis has deleted its log.
        local.close()
        return None

    def _remove(self, local: LocalTurn) -> None:
        # A newer turn of the conversation may have taken its place.
        session_id = local.writer.ref.session_id
        if self._local_turns.get(session_id) is local:
            del self._local_turns[session_id]
