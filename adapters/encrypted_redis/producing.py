"""A turn whose pieces this process produces: followers here are fed from memory at once, the log in
Redis in batches.
"""  # noqa: D205 - one sentence

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from attrs import define, field

from domain.model.identifiers import Owner
from domain.model.piece import NumberedPiece, size_in_bytes
from domain.model.turn import Turn, TurnEnd
from ports.turn_log import LogEntry, Writing


@define(eq=False)
class Producing:
    """One turn's pieces.

    Attributes:
        alive_at: when its writer gave the last sign of life, by the monotonic clock.
        sent: how many of them Redis has.
        flushing: sends what waits when its time has come; absent while nothing waits.
        flight: what is being sent; it may be over.
        sent_at: when it was last written to, by the monotonic clock; absent before.
        writing: what it answered then.
    """

    owner: Owner = field(repr=False)
    turn: Turn
    alive_at: timedelta
    pieces: list[NumberedPiece] = field(factory=list, repr=False)
    end: TurnEnd | None = None
    sent: int = 0
    sent_at: timedelta | None = None
    writing: Writing = Writing.GO_ON
    flushing: "asyncio.Task[None] | None" = None
    flight: "asyncio.Task[Writing] | None" = None
    changed: asyncio.Event = field(factory=asyncio.Event)

    def add(self, pieces: Sequence[NumberedPiece]) -> None:
        """Take those that are new, and wake who follows."""
        last = self.pieces[-1].number if self.pieces else 0
        news = [piece for piece in pieces if piece.number > last]
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

    async def sent_within(
        self, sending: Coroutine[Any, Any, Writing], at_most: timedelta
    ) -> Writing:
        """What Redis answers; what it answered last when that takes longer than ``at_most``.

        Raises:
            StoreUnavailable: the answer was that.
        """
        # Kept by name: once this one is over, the next may take its place before we wake.
        flight = self.flight = asyncio.create_task(sending)
        flight.add_done_callback(_looked_at)
        done, _ = await asyncio.wait([flight], timeout=at_most.total_seconds())
        return flight.result() if done else self.writing

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

    @property
    def unsent_bytes(self) -> int:
        """How much text that is."""
        return sum(size_in_bytes(numbered.piece) for numbered in self.unsent)

    def behind(self, after: int) -> list[LogEntry]:
        """What there is behind piece ``after``, the end last."""
        pieces: list[LogEntry] = [piece for piece in self.pieces if piece.number > after]
        return [*pieces, self.end] if self.end else pieces


def _looked_at(flight: "asyncio.Task[Writing]") -> None:
    """Who did not wait for it does not ask how it ended, and asyncio would complain."""
    if not flight.cancelled():
        flight.exception()
