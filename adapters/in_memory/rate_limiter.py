"""Rate limits counted in this process: for in-memory storage only."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from domain.model.rate_limits import OPEN_TURNS_RETRY, SLOT_LEASE, Charge, Limit, TurnSlot
from domain.service.rate_limiting import (
    Counter,
    counters_of,
    current,
    excess,
    microseconds,
    moved,
    open_turn_limits,
    remaining,
)
from ports.clock import Clock
from ports.errors import TooManyRequests, limit_error

MAX_COUNTERS: Final = 200_000
"""Beyond this number, counters are evicted, least recently moved first, to bound the memory."""

_Key = tuple[str, str]
"""The name of a limit, and whose counter it is."""


class InMemoryRateLimiter:
    """Counts in memory."""

    def __init__(self, *, clock: Clock, limits: Sequence[Limit]) -> None:
        """``limits`` is the table of all limits; empty for none."""
        self._clock = clock
        self._limits = limits
        self._moments: OrderedDict[_Key, float] = OrderedDict()
        self._slots: dict[_Key, dict[str, tuple[str, timedelta]]] = {}

    async def consume(self, charge: Charge, slot: TurnSlot | None = None) -> bool:
        """See ``ports.rate_limiter.RateLimiter.consume``."""
        now = microseconds(self._clock.monotonic())
        counters = counters_of(self._limits, charge)
        refusals = [*self._refusals(counters, now), *self._refused_slots(slot)]
        if refusals:
            raise max(refusals, key=lambda refusal: refusal.retry_after)
        self._move(counters, now)
        holders = [
            table[slot.conversation][0]
            for table in self._tables(slot)
            if slot is not None and slot.conversation in table
        ]
        if slot is not None and any(holder != slot.holder for holder in holders):
            return False
        if slot is not None:
            await self.hold(slot)
        return True

    async def settle(self, charge: Charge, slot: TurnSlot | None = None) -> None:
        """See ``ports.rate_limiter.RateLimiter.settle``."""
        self._move(counters_of(self._limits, charge), microseconds(self._clock.monotonic()))
        if slot is None:
            return
        for limit, subject in open_turn_limits(self._limits, slot.payer):
            table = self._slots.get((limit.name, subject), {})
            if table.get(slot.conversation, ("",))[0] == slot.holder:
                del table[slot.conversation]
            if not table:
                self._slots.pop((limit.name, subject), None)

    async def hold(self, slot: TurnSlot) -> None:
        """See ``ports.rate_limiter.RateLimiter.hold``."""
        expires_at = self._clock.monotonic() + SLOT_LEASE
        for limit, subject in open_turn_limits(self._limits, slot.payer):
            table = self._slots.setdefault((limit.name, subject), {})
            table[slot.conversation] = (slot.holder, expires_at)

    def _refusals(self, counters: Sequence[Counter], now: float) -> Iterator[TooManyRequests]:
        for counter in counters:
            stored = self._moments.get(_key(counter))
            wait = excess(counter, moved(counter, stored, now), now)
            if wait:
                left = now + counter.window - current(counter, stored, now)
                yield limit_error(
                    counter.limit,
                    remaining=remaining(counter.limit, left),
                    retry_after=timedelta(microseconds=wait),
                )

    def _refused_slots(self, slot: TurnSlot | None) -> Iterator[TooManyRequests]:
        if slot is None:
            return
        for limit, subject in open_turn_limits(self._limits, slot.payer):
            table = self._live(self._slots.get((limit.name, subject), {}))
            if len(table.keys() - {slot.conversation}) >= limit.amount:
                yield limit_error(limit, remaining=0, retry_after=OPEN_TURNS_RETRY)

    def _tables(self, slot: TurnSlot | None) -> Iterator[dict[str, tuple[str, timedelta]]]:
        if slot is not None:
            for limit, subject in open_turn_limits(self._limits, slot.payer):
                yield self._slots.get((limit.name, subject), {})

    def _live(self, table: dict[str, tuple[str, timedelta]]) -> dict[str, tuple[str, timedelta]]:
        """The table without the slots whose lease has expired."""
        now = self._clock.monotonic()
        for name in [name for name, (_, expires_at) in table.items() if expires_at <= now]:
            del table[name]
        return table

    def _move(self, counters: Sequence[Counter], now: float) -> None:
        for counter in counters:
            key = _key(counter)
            moment = min(moved(counter, self._moments.pop(key, None), now), now + counter.furthest)
            if moment > now:
                self._moments[key] = moment
        while len(self._moments) > MAX_COUNTERS:
            self._moments.popitem(last=False)
        # The least recently moved counters come first. Drop those whose quota is available in full.
        while self._moments and next(iter(self._moments.values())) <= now:
            self._moments.popitem(last=False)


def _key(counter: Counter) -> _Key:
    return counter.limit.name, counter.subject
