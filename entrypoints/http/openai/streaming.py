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
from ports.turn_log import Batch

_HEARTBEAT_EVERY: Final = timedelta(seconds=4)

Batches = AsyncGenerator[Batch, None]
"""The batches of a turn as they come, until its end; empty ones while the model is silent."""


@frozen(kw_only=True)
class Following:
    """The batches of a turn, whether it is stored or not."""

    follow_turn: FollowTurn
    ephemeral_reply: EphemeralReply

    async def stored(self, ref: ConversationRef, turn: Turn) -> Batches:
        """The batches of a stored turn; a port that fails ends it as failed."""
        batches = self.follow_turn.batches(TurnRef(ref, turn.id), _HEARTBEAT_EVERY)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    yield batch
        except PortError as error:
            yield Batch(end=TurnEnd(outcome=Outcome.FAILED, error=problem_of(error).code))

    async def ephemeral(self, owner: Owner, new: ResponseRequest) -> tuple[Started, Batches]:
        """A turn that is not stored, and its batches.

        Raises:
            DomainError, PortError: see ``EphemeralReply``; the model was not called.
        """
        started = await self.ephemeral_reply.prepare(owner, new)
        return started, await self.ephemeral_reply.start(started, new, _HEARTBEAT_EVERY)


async def event_stream(
    batches: Batches, events: ResponseEvents, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The response as events."""
    yield events.start() or HEARTBEAT
    async with aclosing(batches):
        async for batch in batches:
            yield _rendered(batch, events, clock) or HEARTBEAT


async def collect(batches: Batches) -> tuple[Sequence[Part], TurnEnd]:
    """The parts that the model wrote, and the end of the turn."""
    pieces: list[NumberedPiece] = []
    async with aclosing(batches):
        async for batch in batches:
            pieces += batch.pieces
            if batch.end is not None:
                return assemble_parts(numbered.piece for numbered in pieces), batch.end
    raise AssertionError("a turn has an end")


def _rendered(batch: Batch, events: ResponseEvents, clock: Clock) -> bytes:
    pieces = b"".join(map(events.piece, batch.pieces))
    return pieces if batch.end is None else pieces + events.end(batch.end, clock.now())
