"""Following a turn into a response: as events, or as one document."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.identifiers import ConversationRef, Owner, TurnRef
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
"""What a turn says, as it comes, the end last; empty ones while it says nothing."""


@frozen(kw_only=True)
class Following:
    """Tells what a turn says, whether it is kept or not."""

    follow: FollowTurn
    unkept: EphemeralReply

    async def stored(self, ref: ConversationRef, turn: Turn) -> Entries:
        """The entries of a turn that is stored."""
        following = self.follow.entries(TurnRef(ref, turn.id), _HEARTBEAT_EVERY)
        try:
            async with aclosing(following):
                async for entries in following:
                    yield entries
        except PortError as error:
            yield (TurnEnd(outcome=Outcome.FAILED, error=problem_of(error).code),)

    async def ephemeral(self, owner: Owner, new: ResponseRequest) -> tuple[Started, Entries]:
        """A turn of which nothing is kept, and its entries.

        Raises:
            DomainError, PortError: see ``EphemeralReply``; the model was not asked.
        """
        started = await self.unkept.prepare(owner, new)
        return started, _one_by_one(await self.unkept.start(started, new, _HEARTBEAT_EVERY))


async def _one_by_one(entries: AsyncGenerator[LogEntry | None, None]) -> Entries:
    async with aclosing(entries) as coming:
        async for entry in coming:
            yield () if entry is None else (entry,)


async def streamed(
    entries: Entries, events: ResponseEvents, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The response as events."""
    yield events.beginning() or HEARTBEAT
    async with aclosing(entries) as coming:
        async for some in coming:
            yield _rendered(some, events, clock) or HEARTBEAT


async def awaited(entries: Entries) -> tuple[Sequence[Part], TurnEnd]:
    """What the model said, and how the turn ended."""
    heard: list[LogEntry] = []
    async with aclosing(entries) as coming:
        async for some in coming:
            heard += some
    pieces = [entry.piece for entry in heard if isinstance(entry, NumberedPiece)]
    end = next(entry for entry in heard if isinstance(entry, TurnEnd))
    return assemble_parts(pieces), end


def _rendered(entries: Sequence[LogEntry], events: ResponseEvents, clock: Clock) -> bytes:
    return b"".join(
        events.ending(entry, clock.now()) if isinstance(entry, TurnEnd) else events.of(entry)
        for entry in entries
    )
