"""Following a turn into a response: as events, or as one document."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.identifiers import Owner, SessionId
from domain.model.message import Part
from domain.model.piece import NumberedPiece, assemble_parts
from domain.model.turn import Outcome, Turn, TurnEnd
from entrypoints.http.openai.events import ResponseEvents
from entrypoints.http.problems import problem_of
from entrypoints.http.sse import HEARTBEAT
from entrypoints.usecases.edit_items import ResponseRequest
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import Started
from ports.clock import Clock
from ports.errors import PortError
from ports.turn_log import LogEntry

_HEARTBEAT_EVERY: Final = timedelta(seconds=4)

Entries = AsyncGenerator[Sequence[LogEntry], None]
"""The entries of a turn as they come, its end last; an empty batch while the model is silent."""


@frozen(kw_only=True)
class Following:
    """The entries of a turn, whether it is stored or not."""

    follow_turn: FollowTurn
    ephemeral_reply: EphemeralReply

    async def stored(self, owner: Owner, session_id: SessionId, turn: Turn) -> Entries:
        """The entries of a stored turn; a port that fails ends it as failed."""
        batches = self.follow_turn.entries(owner, session_id, turn.id, _HEARTBEAT_EVERY)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    yield batch
        except PortError as error:
            yield (TurnEnd(outcome=Outcome.FAILED, error=problem_of(error).code),)

    async def ephemeral(self, owner: Owner, new: ResponseRequest) -> tuple[Started, Entries]:
        """A turn that is not stored, and its entries.

        Raises:
            DomainError, PortError: see ``EphemeralReply``; the model was not called.
        """
        started = await self.ephemeral_reply.prepare(owner, new)
        entries = await self.ephemeral_reply.start(started, new, _HEARTBEAT_EVERY)
        return started, _batches(entries)


async def event_stream(
    entries: Entries, events: ResponseEvents, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The response as events."""
    yield events.start() or HEARTBEAT
    async with aclosing(entries):
        async for batch in entries:
            yield b"".join(_rendered(entry, events, clock) for entry in batch) or HEARTBEAT


async def collect(entries: Entries) -> tuple[Sequence[Part], TurnEnd]:
    """The parts that the model wrote, and the end of the turn."""
    collected: list[LogEntry] = []
    async with aclosing(entries):
        async for batch in entries:
            collected += batch
    pieces = [entry.piece for entry in collected if isinstance(entry, NumberedPiece)]
    end = next(entry for entry in collected if isinstance(entry, TurnEnd))
    return assemble_parts(pieces), end


async def _batches(entries: AsyncGenerator[LogEntry | None, None]) -> Entries:
    async with aclosing(entries):
        async for entry in entries:
            yield () if entry is None else (entry,)


def _rendered(entry: LogEntry, events: ResponseEvents, clock: Clock) -> bytes:
    return events.end(entry, clock.now()) if isinstance(entry, TurnEnd) else events.piece(entry)
