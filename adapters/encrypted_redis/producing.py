"""A turn whose pieces this process produces: followers here are fed from memory at once, the log in
Redis in batches.
"""  # noqa: D205 - one sentence

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from attrs import define, field, frozen

from adapters.encrypted_redis.keyspace import RUNNING_STAY
from domain.model.identifiers import Owner
from domain.model.piece import NumberedPiece, size_in_bytes
from domain.model.turn import Turn, TurnEnd
from ports.turn_log import LogEntry, Writing


@frozen(kw_only=True)
class Batching:
    """How long and how much pieces may wait in memory before Redis gets them."""

    within: timedelta = timedelta(milliseconds=100)
    characters: int = 256


@define(eq=False)
class Producing:
    """One turn's pieces.

    Attributes:
        alive_at: when its writer gave the last sign of life, by the monotonic clock.
        pieces: all of them, numbered from 1.
        sent: how many of them Redis has.
        flushing: sends what waits when its time has come; absent while nothing waits.
        flight: what is being sent; it may be over.
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
    writing: Writing = Writing.GO_ON
    flushing: "asyncio.Task[None] | None" = None
    flight: "asyncio.Task[Writing] | None" = None
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

    def send(self, sending: Coroutine[Any, Any, Writing]) -> "asyncio.Task[Writing]":
        """Begin to send; only to be called while nothing is in flight."""
        self.flight = asyncio.create_task(sending)
        self.flight.add_done_callback(_looked_at)
        return self.flight

    async def landed(self) -> None:
        """Return when nothing is in flight."""
        while self.flight is not None and not self.flight.done():
            await asyncio.wait([self.flight])

    def stop_flushing(self) -> None:
        """Send nothing by itself any more."""
        if self.flushing is not None:
            self.flushing.cancel()
            self.flushing = None

    @property
    def is_in_flight(self) -> bool:
        """Whether Redis has not answered yet to what was sent last."""
        return self.flight is not None and not self.flight.done()

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

    def behind(self, after: int) -> list[LogEntry]:
        """What there is behind piece ``after``, the end last."""
        pieces: list[LogEntry] = [*self.pieces[after:]]
        return [*pieces, self.end] if self.end else pieces


def _looked_at(flight: "asyncio.Task[Writing]") -> None:
    """Who did not wait for it does not ask how it ended, and asyncio would complain."""
    if not flight.cancelled():
        flight.exception()
