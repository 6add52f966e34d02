"""Turn logs in Redis, as streams of sealed entries. See ``docs/redis_layout.md``.

A turn whose pieces this process produces: followers here are fed from memory at once, the log in
Redis in batches.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final

from attrs import define, field, frozen

from adapters.encrypted_redis.keys_and_scripts import RUNNING_STAY
from adapters.encrypted_redis.log_stream import END_NUMBER, LogReader, LogWriter
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.sealing.sealer import Sealer
from domain.model.identifiers import ConversationRef, Owner, SessionId, TurnRef
from domain.model.piece import NumberedPiece, size_in_bytes
from domain.model.turn import Turn, TurnEnd
from ports.clock import Clock
from ports.turn_log import AppendResult, Batch


@frozen(kw_only=True)
class Batching:
    """How long and how much pieces may wait in memory before Redis gets them."""

    within: timedelta = timedelta(milliseconds=100)
    characters: int = 256


@define(eq=False)
class LocalTurn:
    """One turn's pieces.

    Attributes:
        alive_at: when its writer gave the last sign of life, by the monotonic clock.
        pieces: all of them, numbered from 1.
        sent: how many of them Redis has.
        flushing: sends what waits when its time has come; absent while nothing waits.
        in_flight: what is being sent; it may be over.
        sent_at: when it was last written to, by the monotonic clock; absent before.
        has_failed: whether it did not answer then, or has not yet.
        writing: what it answered last.
    """

    owner: Owner = field(repr=False)
    turn: Turn
    alive_at: timedelta
    pieces: list[NumberedPiece] = field(factory=list, repr=False)
    end: TurnEnd | None = None
    sent: int = 0
    sent_at: timedelta | None = None
    has_failed: bool = False
    writing: AppendResult = AppendResult.CONTINUE
    flushing: "asyncio.Task[None] | None" = None
    in_flight: "asyncio.Task[AppendResult] | None" = None
    changed: asyncio.Event = field(factory=asyncio.Event)

    def continues_with(self, pieces: Sequence[NumberedPiece]) -> bool:
        """Whether nothing is missing between what is here and these."""
        return not pieces or pieces[0].number <= len(self.pieces) + 1

    def add(self, pieces: Sequence[NumberedPiece]) -> None:
        """Take those that are new, and wake who follows."""
        news = [piece for piece in pieces if piece.number > len(self.pieces)]
        if news:
            self.pieces.extend(news)
            self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def changed_within(self, at_most: timedelta) -> None:
        """Return when something new has come, at the latest after ``at_most``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most.total_seconds()):
                await self.changed.wait()

    def send(self, sending: Coroutine[Any, Any, AppendResult]) -> "asyncio.Task[AppendResult]":
        """Begin to send; only to be called while nothing is in flight."""
        self.in_flight = asyncio.create_task(sending)
        self.in_flight.add_done_callback(_looked_at)
        return self.in_flight

    async def wait_idle(self) -> None:
        """Return when nothing is in flight."""
        while self.in_flight is not None and not self.in_flight.done():
            await asyncio.wait([self.in_flight])

    def stop_flushing(self) -> None:
        """Send nothing by itself any more."""
        if self.flushing is not None:
            self.flushing.cancel()
            self.flushing = None

    @property
    def is_in_flight(self) -> bool:
        """Whether Redis has not answered yet to what was sent last."""
        return self.in_flight is not None and not self.in_flight.done()

    @property
    def unsent(self) -> Sequence[NumberedPiece]:
        """What Redis does not have yet."""
        return self.pieces[self.sent :]

    def is_due(self, now: timedelta, batching: Batching) -> bool:
        """Whether what is unsent has waited for as long, or is as much, as it may."""
        if self.sent_at is None or now - self.sent_at >= batching.within:
            return True
        # What could not be sent just now is not sealed again for every piece.
        return not self.has_failed and self._has_unsent(batching.characters)

    def is_over(self, now: timedelta) -> bool:
        """Whether its writer has been silent for as long as Redis keeps a log."""
        last = self.alive_at if self.sent_at is None else self.sent_at
        return now - last >= RUNNING_STAY

    def _has_unsent(self, size: int) -> bool:
        for numbered in self.unsent:
            size -= size_in_bytes(numbered.piece)
            if size <= 0:
                return True
        return False

    def batch_after(self, after: int) -> Batch:
        """The pieces after piece ``after``, and the end if there is one."""
        return Batch(pieces=self.pieces[after:], end=self.end)


def _looked_at(in_flight: "asyncio.Task[AppendResult]") -> None:
    """Who did not wait for it does not ask how it ended, and asyncio would complain."""
    if not in_flight.cancelled():
        in_flight.exception()


_BEHIND: Final = b"BEHIND"
_WRITINGS: Final = {
    b"OK": AppendResult.CONTINUE,
    b"STOPPED": AppendResult.STOPPED,
    b"SUPERSEDED": AppendResult.SUPERSEDED,
    b"GONE": AppendResult.GONE,
    _BEHIND: AppendResult.GONE,
}
_FIRST_LOOK: Final = timedelta(milliseconds=20)
_SELDOM: Final = timedelta(milliseconds=320)


class RedisTurnLog:
    """One stream a conversation, of its newest turn."""

    def __init__(
        self, *, commands: RedisClient, sealer: Sealer, clock: Clock, batching: Batching
    ) -> None:
        """``clock`` tells when a batch is due and waits between two looks at a foreign turn."""
        self._commands = commands
        self._clock = clock
        self._batching = batching
        self._reader = LogReader(commands, sealer)
        self._writer = LogWriter(commands, sealer)
        self._producing: OrderedDict[SessionId, LocalTurn] = OrderedDict()

    def head(self, ref: ConversationRef, turn: Turn) -> tuple[str, str, bytes, int]:
        """What opens the turn's log: turn id, entry id, entry, stay in milliseconds."""
        return self._writer.head(ref, turn)

    def opened(self, ref: ConversationRef, turn: Turn) -> None:
        """Redis has opened the turn's log for a writer in this process."""
        self.drop_local(ref.session_id)
        now = self._clock.monotonic()
        oldest = next(iter(self._producing), None)
        if oldest is not None and self._producing[oldest].is_over(now):
            self.drop_local(oldest)
        self._producing[ref.session_id] = LocalTurn(ref.owner, turn, now)

    def drop_local(self, session_id: SessionId) -> None:
        """Keep nothing of this conversation's turn in memory; its followers look at Redis."""
        producing = self._producing.pop(session_id, None)
        if producing is not None:
            producing.stop_flushing()
            producing.wake()

    async def exists_for(self, ref: ConversationRef) -> bool:
        """Whether there is a log, and of this owner."""
        return await self._reader.exists_for(ref)

    async def append(
        self, ref: ConversationRef, turn: Turn, pieces: Sequence[NumberedPiece]
    ) -> AppendResult:
        """See ``ports.turn_log.TurnLog.append``."""
        producing = self._own(TurnRef(ref, turn.id))
        if producing is None:
            behind = pieces[0].number - 1 if pieces else 0
            answer = await self._writer.append(ref, turn, pieces, behind)
            return _WRITINGS[answer]
        producing.alive_at = now = self._clock.monotonic()
        if not producing.continues_with(pieces):
            return AppendResult.GONE
        producing.add(pieces)
        is_due = not pieces or producing.is_due(now, self._batching)
        if producing.is_in_flight or self._commands.is_crowded or not is_due:
            self._flush_soon(ref.session_id, producing)
            return producing.writing
        in_flight = producing.send(self._flush(ref.session_id, producing))
        # A Redis that takes longer holds up nobody: the writer learns of it with its next piece.
        done, _ = await asyncio.wait([in_flight], timeout=self._batching.within.total_seconds())
        return in_flight.result() if done else producing.writing

    def _flush_soon(self, session_id: SessionId, producing: LocalTurn) -> None:
        async def later() -> None:
            await self._clock.sleep(self._batching.within)
            # More would only say the same again to a Redis that is late already.
            await producing.wait_idle()
            while self._commands.is_crowded:
                # What is to be stored goes first: it cannot be said again.
                await self._clock.sleep(self._batching.within)
            producing.flushing = None
            # The writer learns of its outcome with its next piece or sign of life.
            producing.send(self._flush(session_id, producing))

        if producing.flushing is None:
            producing.flushing = asyncio.create_task(later())

    async def _flush(self, session_id: SessionId, producing: LocalTurn) -> AppendResult:
        owner, turn, behind = producing.owner, producing.turn, producing.sent
        producing.sent_at, producing.has_failed = self._clock.monotonic(), True
        pieces = list(producing.unsent)
        answer = await self._writer.append(ConversationRef(owner, session_id), turn, pieces, behind)
        producing.has_failed = False
        if answer == _BEHIND:
            # Redis came back without some of what it had, and gets all of it again.
            producing.sent = 0
            return await self._flush(session_id, producing)
        producing.writing = _WRITINGS[answer]
        producing.sent = max(producing.sent, behind + len(pieces))
        if producing.writing in (AppendResult.SUPERSEDED, AppendResult.GONE):
            self._drop(session_id, producing)
        return producing.writing

    async def end(self, ref: ConversationRef, turn: Turn, end: TurnEnd) -> None:
        """See ``ports.turn_log.TurnLog.end``."""
        ours = self._own(TurnRef(ref, turn.id))
        if ours is None:
            await self._writer.end(ref, turn, end)
            return
        ours.stop_flushing()
        try:
            ending = partial(self._writer.end, ref, turn, end)
            if await ending(pieces=ours.unsent, behind=ours.sent) == _BEHIND:
                await ending(pieces=ours.pieces)
        finally:
            # Those who follow here need not wait for a log that is away.
            ours.end = end
            self._drop(ref.session_id, ours)

    def _drop(self, session_id: SessionId, producing: LocalTurn) -> None:
        if self._producing.get(session_id) is producing:
            self.drop_local(session_id)

    async def stop(self, turn_ref: TurnRef) -> bool:
        """See ``ports.turn_log.TurnLog.stop``."""
        if not await self._reader.exists_for(turn_ref.conversation):
            return False
        return await self._writer.stop(turn_ref.conversation.session_id, turn_ref.turn_id) == b"OK"

    async def read(self, turn_ref: TurnRef, after: int, wait: timedelta) -> Batch:
        """See ``ports.turn_log.TurnLog.read``."""
        deadline, pause = self._clock.monotonic() + wait, _FIRST_LOOK
        while True:
            producing = self._own(turn_ref)
            if producing is not None:
                batch = producing.batch_after(after)
            else:
                batch = (await self._reader.read(turn_ref, after)).batch
            left = deadline - self._clock.monotonic()
            if not batch.is_empty or left <= timedelta():
                return batch
            if producing is not None:
                await producing.changed_within(left)
                batch = producing.batch_after(after)
                if not batch.is_empty:
                    return batch
            else:
                await self._clock.sleep(min(pause, left))
                pause = min(pause * 2, _SELDOM)

    def healthy_for(self) -> timedelta:
        """See ``ports.turn_log.TurnLog.healthy_for``."""
        return self._commands.healthy_for

    async def silence(self, turn_ref: TurnRef) -> timedelta:
        """See ``ports.turn_log.TurnLog.silence``."""
        producing = self._own(turn_ref)
        if producing is not None:
            return self._clock.monotonic() - producing.alive_at
        log = await self._reader.read(turn_ref, END_NUMBER - 1)
        # A Redis that froze makes every turn look silent, also those whose writers live.
        return min(log.silence, self.healthy_for())

    def _own(self, turn_ref: TurnRef) -> LocalTurn | None:
        producing = self._producing.get(turn_ref.conversation.session_id)
        if (
            producing is None
            or producing.turn.id != turn_ref.turn_id
            or producing.owner != turn_ref.conversation.owner
        ):
            return None
        if not producing.is_over(self._clock.monotonic()):
            return producing
        # Redis has let go of a log whose writer fell silent, and so do we.
        self.drop_local(turn_ref.conversation.session_id)
        return None
