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
from entrypoints.usecases.create_response import ResponseRequest
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import Started
from ports.clock import Clock
from ports.errors import PortError
from ports.turn_log import Batch

_HEARTBEAT_EVERY: Final = timedelta(seconds=4)

Batches = AsyncGenerator[Batch, None]
"""A turn as it comes, until its end; empty batches while the model is silent."""


@frozen(kw_only=True)
class Following:
    """Tells what a turn says, whether it is kept or not."""

    follow: FollowTurn
    unkept: EphemeralReply

    async def stored(self, ref: ConversationRef, turn: Turn) -> Batches:
        """The batches of a turn that is stored."""
        following = self.follow.batches(TurnRef(ref, turn.id), _HEARTBEAT_EVERY)
        try:
            async with aclosing(following):
                async for batch in following:
                    yield batch
        except PortError as error:
            yield Batch(end=TurnEnd(outcome=Outcome.FAILED, error=problem_of(error).code))

    async def ephemeral(self, owner: Owner, new: ResponseRequest) -> tuple[Started, Batches]:
        """A turn of which nothing is kept, and its batches.

        Raises:
            DomainError, PortError: see ``EphemeralReply``; the model was not asked.
        """
        started = await self.unkept.prepare(owner, new)
        return started, await self.unkept.start(started, new, _HEARTBEAT_EVERY)


async def streamed(
    batches: Batches, events: ResponseEvents, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The response as events."""
    yield events.beginning() or HEARTBEAT
    async with aclosing(batches) as coming:
        async for batch in coming:
            yield _rendered(batch, events, clock) or HEARTBEAT


async def awaited(batches: Batches) -> tuple[Sequence[Part], TurnEnd]:
    """What the model said, and how the turn ended."""
    pieces: list[NumberedPiece] = []
    async with aclosing(batches) as coming:
        async for batch in coming:
            pieces += batch.pieces
            if batch.end is not None:
                return assemble_parts(numbered.piece for numbered in pieces), batch.end
    raise AssertionError("a turn has an end")


def _rendered(batch: Batch, events: ResponseEvents, clock: Clock) -> bytes:
    pieces = b"".join(map(events.of, batch.pieces))
    return pieces if batch.end is None else pieces + events.ending(batch.end, clock.now())
