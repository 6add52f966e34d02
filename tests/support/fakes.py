"""Doubles that tests own: a model with a script, a store that goes away, a telemetry, signals."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TypeAlias

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, Piece, TextPiece
from domain.model.prompt import Prompt
from ports.conversation_store import Change, ConversationStateStore, Page, Predicate
from ports.errors import StoreUnavailable
from tests.support.clocks import ManualClock

USAGE = Usage(input_tokens=7, output_tokens=3)
FINISHED = ModelFinished(reason=FinishReason.STOP, usage=USAGE)


Fields: TypeAlias = dict[str, str | float | bool | None]


class RecordingTelemetry:
    """Telemetry that keeps every event with its fields."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, Fields]] = []

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        self.emitted.append((event, fields))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.emitted]

    def fields_of(self, event: str) -> list[Fields]:
        return [fields for name, fields in self.emitted if name == event]


class InstantModel:
    """A model that says all it has to say at once; ``error`` is how it fails then."""

    name = "saying"

    def __init__(self, *texts: str | Piece, error: Exception | None = None) -> None:
        self._said = [TextPiece(said) if isinstance(said, str) else said for said in texts]
        self._error = error
        self.prompts: list[Prompt] = []

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        self.prompts.append(prompt)
        for piece in self._said:
            yield piece
        if self._error is not None:
            raise self._error
        yield FINISHED


class FlakyStore:
    """The store behind it, which takes its time to write, and may be away for a while."""

    def __init__(self, store: ConversationStateStore, clock: ManualClock) -> None:
        self._store = store
        self._clock = clock
        self._back_at = timedelta.min
        self.lost_answers = 0
        """How many writes will be done and then look as if they had failed."""
        self.loads: list[int | None] = []
        self.refused = 0
        self._next_load: Exception | None = None

    def fail_next_load(self, error: Exception) -> None:
        self._next_load = error

    async def at_once(self, ref: ConversationRef) -> Conversation:
        """The conversation as it is at this very moment."""
        return await self._store.load(ref)

    def leave(self, how_long: timedelta) -> None:
        self._back_at = self._clock.monotonic() + how_long

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        await self._reached("create")
        await self._store.create(owner, conversation)

    async def load(self, ref: ConversationRef, last: int | None = None) -> Conversation:
        await self._reached("load")
        if self._next_load is not None:
            error, self._next_load = self._next_load, None
            raise error
        self.loads.append(last)
        return await self._store.load(ref, last)

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        await self._reached("page")
        return await self._store.page(ref, before, limit)

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,
        last: int | None = None,
    ) -> Conversation:
        await self._reached("update")
        updated = await self._store.update(ref, change, base, last)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreUnavailable("update")
        return updated

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        await self._reached("log")
        return await self._store.ensure_log(turn_ref)

    async def forget(self, ref: ConversationRef) -> None:
        await self._reached("forget")
        await self._store.forget(ref)

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        await self._reached("forget")
        await self._store.forget_if(ref, predicate)

    async def _reached(self, doing: str) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        if self._clock.monotonic() < self._back_at:
            self.refused += 1
            raise StoreUnavailable(doing)


class FakeSignals:
    """Signals that only nudge: no time passes while one waits."""

    def __init__(self) -> None:
        self._nudged = asyncio.Event()
        self.shutting_down = False

    async def wait(self, at_most: timedelta) -> None:  # noqa: ARG002 - the port's signature
        await self._nudged.wait()
        self._nudged.clear()

    def wake(self) -> None:
        self._nudged.set()


class TickingSignals(FakeSignals):
    """Signals whose every wait lasts as long as it may."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    async def wait(self, at_most: timedelta) -> None:
        self._clock.advance(at_most)
        await asyncio.sleep(0)
