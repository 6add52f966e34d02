"""Fakes of ports that tests control: telemetry, a flaky store, signals."""

import asyncio
from datetime import timedelta
from typing import TypeAlias

from domain.model.conversation import Conversation, Extent
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from ports.conversation_store import Change, ConversationStateStore, Page, Predicate
from ports.errors import StoreUnavailable
from ports.telemetry import EVENTS
from tests.support.clocks import ManualClock

Fields: TypeAlias = dict[str, str | float | bool | None]


class RecordingTelemetry:
    """Telemetry that keeps every event with its fields; each has to be declared."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, Fields]] = []

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        assert fields.keys() <= EVENTS[event].fields
        self.emitted.append((event, fields))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.emitted]

    def fields_of(self, event: str) -> list[Fields]:
        return [fields for name, fields in self.emitted if name == event]


class FlakyStore:
    """A store whose calls take a moment, and which can be unavailable or lose responses."""

    def __init__(self, store: ConversationStateStore, clock: ManualClock) -> None:
        self._store = store
        self._clock = clock
        self._available_at = timedelta.min
        self.responses_to_lose = 0
        """How many writes will be stored and then raise ``StoreUnavailable``."""
        self.loads: list[Extent] = []
        self.rejected_calls = 0
        self._next_load: Exception | None = None

    def fail_next_load(self, error: Exception) -> None:
        self._next_load = error

    async def load_now(self, ref: ConversationRef) -> Conversation:
        """The stored conversation, even while the store is unavailable."""
        return await self._store.load(ref)

    def become_unavailable(self, duration: timedelta) -> None:
        self._available_at = self._clock.monotonic() + duration

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        await self._access("create")
        await self._store.create(owner, conversation)

    async def load(self, ref: ConversationRef, last: Extent = None) -> Conversation:
        await self._access("load")
        if self._next_load is not None:
            error, self._next_load = self._next_load, None
            raise error
        self.loads.append(last)
        return await self._store.load(ref, last)

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        await self._access("page")
        return await self._store.page(ref, before, limit)

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,
        last: Extent = None,
    ) -> Conversation:
        await self._access("update")
        updated = await self._store.update(ref, change, base, last)
        if self.responses_to_lose:
            self.responses_to_lose -= 1
            raise StoreUnavailable("update")
        return updated

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        await self._access("log")
        return await self._store.ensure_log(turn_ref)

    async def forget(self, ref: ConversationRef) -> None:
        await self._access("forget")
        await self._store.forget(ref)

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        await self._access("forget")
        await self._store.forget_if(ref, predicate)

    async def _access(self, operation: str) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        if self._clock.monotonic() < self._available_at:
            self.rejected_calls += 1
            raise StoreUnavailable(operation)


class FakeSignals:
    """Signals that return only when woken; the clock does not advance meanwhile."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self.shutting_down = False

    async def wait(self, at_most: timedelta) -> None:  # noqa: ARG002 - the port's signature
        await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()


class TickingSignals(FakeSignals):
    """Signals that are never woken: each wait advances the clock by its whole limit."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    async def wait(self, at_most: timedelta) -> None:
        self._clock.advance(at_most)
        await asyncio.sleep(0)
