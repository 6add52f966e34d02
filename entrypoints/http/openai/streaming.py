"""Follows a turn, and renders it as an event stream or collects its reply."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeVar

from attrs import frozen
from starlette.requests import Request

from domain.model.identifiers import Owner, TurnRef
from domain.model.message import Part
from domain.model.piece import NumberedPiece, assemble_parts
from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.openai.events import ResponseEvents
from entrypoints.http.reply_stream import turn_batches
from entrypoints.http.sse import HEARTBEAT, HEARTBEAT_INTERVAL
from entrypoints.usecases.create_response import ResponseRequest
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import Started
from ports.clock import Clock
from ports.turn_log import Batch

_Result = TypeVar("_Result")

Batches = AsyncGenerator[Batch, None]
"""The batches of a turn as they come, until its end; empty batches while the model is silent."""

_INTERRUPTED: Final = TurnEnd(outcome=Outcome.INTERRUPTED)


@frozen(kw_only=True)
class Following:
    """Follows turns, both stored and ephemeral ones."""

    follow_turn: FollowTurn
    ephemeral_reply: EphemeralReply

    def stored(self, turn_ref: TurnRef) -> Batches:
        """The batches of a stored turn; a PortError becomes a failed end."""
        return turn_batches(self.follow_turn, turn_ref)

    async def ephemeral(self, owner: Owner, request: ResponseRequest) -> tuple[Started, Batches]:
        """Start a turn that is not stored; returns it and its batches.

        Raises:
            DomainError, PortError: see ``EphemeralReply``; the model was not called.
        """
        started = await self.ephemeral_reply.prepare(owner, request)
        return started, await self.ephemeral_reply.start(started, request, HEARTBEAT_INTERVAL)


async def event_stream(
    batches: Batches, events: ResponseEvents, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The events of the response, with comments while the model is silent."""
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


async def collect_while_connected(
    batches: Batches, request: Request
) -> tuple[Sequence[Part], TurnEnd]:
    """As ``collect``, but a caller who leaves ends the reply: no one else can read it."""
    return await _while_connected(collect(batches), request) or ((), _INTERRUPTED)


async def first_while_connected(batches: Batches, request: Request) -> Batch:
    """The first batch; a caller who leaves before it ends the reply."""

    async def first() -> Batch:
        return await anext(batches)

    return await _while_connected(first(), request) or Batch(end=_INTERRUPTED)


async def _while_connected(work: Coroutine[Any, Any, _Result], request: Request) -> _Result | None:
    """The result of ``work``; None if the caller has left before it is done."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait((working, leaving))


async def _left(request: Request) -> None:
    """Return once the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _rendered(batch: Batch, events: ResponseEvents, clock: Clock) -> bytes:
    pieces = b"".join(map(events.piece, batch.pieces))
    return pieces if batch.end is None else pieces + events.end(batch.end, clock.now())
