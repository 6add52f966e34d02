"""Follows a turn, and renders it as an event stream or collects its reply."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, TypeVar

from attrs import frozen
from starlette.requests import Request

from domain.model.identifiers import Owner, TurnRef
from domain.model.message import Part
from domain.model.piece import NumberedPiece, assemble_parts
from domain.model.turn import Outcome, TurnEnd
from domain.service.item_editing import reply_parts
from domain.service.reply_reading import ReadTurn, indexed_pieces, pieces_of
from domain.service.server_calls import with_all_results
from entrypoints.http.openai.events import ResponseEvents
from entrypoints.http.openai.responses import stored_end
from entrypoints.http.reply_stream import turn_batches
from entrypoints.http.sse import HEARTBEAT, HEARTBEAT_INTERVAL
from entrypoints.usecases.create_response import ResponseRequest
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import Started
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

    async def ended(self, turn_ref: TurnRef | None, turn: ReadTurn) -> Batches:
        """The whole reply of a stored turn that has ended, and its end, as one batch.

        The pieces are those of the log if it still exists and is what was stored. So the events
        have the numbers that the client knows. Otherwise, there is one piece for each part.
        ``turn_ref`` is None if the turn is not the newest: its log is gone.
        """
        parts = reply_parts(turn.reply) if turn.reply else ()
        pieces = [NumberedPiece(number, piece) for number, piece in enumerate(pieces_of(parts), 1)]
        if turn_ref is not None:
            logged = [piece async for batch in self.stored(turn_ref) for piece in batch.pieces]
            if _whole_parts(logged) == parts:
                pieces = logged
        yield Batch(pieces=pieces, end=stored_end(turn))

    async def ephemeral(self, owner: Owner, request: ResponseRequest) -> tuple[Started, Batches]:
        """Start a turn that is not stored; returns it and its batches.

        Raises:
            DomainError, PortError: see ``EphemeralReply``; the model was not called.
        """
        started = await self.ephemeral_reply.prepare(owner, request)
        return started, await self.ephemeral_reply.start(started, request, HEARTBEAT_INTERVAL)


async def event_stream(
    batches: Batches, events: ResponseEvents, ended_at: Callable[[], datetime]
) -> AsyncGenerator[bytes, None]:
    """The events of the response, with comments while the model is silent.

    ``ended_at`` returns the time of the response's end; it is called at the end.
    """
    yield events.start() or HEARTBEAT
    async with aclosing(batches):
        async for batch in batches:
            yield _rendered(batch, events, ended_at) or HEARTBEAT


def part_indexes(turn: ReadTurn) -> Sequence[int]:
    """The indexes of the parts of a stored reply that ``Following.ended`` yields as pieces.

    Parts of other kinds, and parts that were deleted, have none.
    """
    parts = reply_parts(turn.reply) if turn.reply else ()
    return [index for index, _ in indexed_pieces(parts)]


def _whole_parts(pieces: Sequence[NumberedPiece]) -> tuple[Part, ...]:
    """The parts of a reply that has ended, as they are stored."""
    return with_all_results(assemble_parts(numbered.piece for numbered in pieces))


async def collect(batches: Batches) -> tuple[Sequence[Part], TurnEnd]:
    """The parts of the reply, and the end of the turn."""
    pieces: list[NumberedPiece] = []
    async with aclosing(batches):
        async for batch in batches:
            pieces += batch.pieces
            if batch.end is not None:
                return _whole_parts(pieces), batch.end
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


def _rendered(batch: Batch, events: ResponseEvents, ended_at: Callable[[], datetime]) -> bytes:
    pieces = b"".join(map(events.piece, batch.pieces))
    return pieces if batch.end is None else pieces + events.end(batch.end, ended_at())
