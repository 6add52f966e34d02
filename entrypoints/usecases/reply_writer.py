"""Writes the pieces of one reply into its sink: numbers them, and keeps to the reply's limit."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from attrs import define, field

from domain.model.limits import MAX_REPLY_BYTES, PART_OVERHEAD_BYTES
from domain.model.message import ToolResultPart
from domain.model.piece import (
    NumberedPiece,
    Piece,
    StepPiece,
    ToolResultPiece,
    assemble_parts,
    begins_another_part,
    piece_bytes,
)
from domain.service.server_calls import with_all_results


class ReplySink(Protocol):
    """Where the pieces of one reply go."""

    async def put(self, piece: NumberedPiece) -> None:
        """Take the next piece."""
        ...

    async def keep_alive(self) -> None:
        """Called at least once per ``TurnPolicy.heartbeat``, even while the model is silent."""
        ...

    @property
    def is_closed(self) -> bool:
        """True once the sink takes no more pieces; the reply is then interrupted."""
        ...


@define(kw_only=True)
class ReplyWriter:
    """Writes one reply.

    Attributes:
        bytes_before: bytes of the reply that this one continues; 0 if it continues none.
        opening: pieces that are written just before the first one, so that nothing is written for a
            model that fails at once.
        pieces: what was written so far, without ``opening``.
        reply_bytes: bytes of ``pieces``; even an empty piece counts as one, so that an endless
            stream of them ends.
        is_full: whether a piece was refused because the reply would be longer than
            ``MAX_REPLY_BYTES``.
    """

    sink: ReplySink
    bytes_before: int = 0
    opening: Sequence[Piece] = ()
    pieces: list[Piece] = field(factory=list, repr=False)
    reply_bytes: int = 0
    is_full: bool = False
    _overhead: int = 0
    _number: int = 0
    _begins_step: bool = False

    @property
    def bytes_left(self) -> int:
        """How many bytes may still be written."""
        return MAX_REPLY_BYTES - self.reply_bytes - self._overhead - self.bytes_before

    @property
    def is_closed(self) -> bool:
        """Whether the sink takes no more pieces."""
        return self.sink.is_closed

    def begin_step(self) -> None:
        """Separate what follows from what was written; if nothing follows, nothing is written."""
        self._begins_step = True

    async def put(self, piece: Piece) -> bool:
        """Write the next piece; False if nothing more can be written.

        The reply is then full, or its sink is closed.
        """
        if self.opening:
            await self.open()
        if self._begins_step:
            self._begins_step = False
            await self._add(StepPiece())
        return await self._add(piece)

    async def _add(self, piece: Piece) -> bool:
        previous = self.pieces[-1] if self.pieces else None
        self.reply_bytes += max(1, piece_bytes(piece))
        if previous is not None and begins_another_part(piece, previous):
            self._overhead += PART_OVERHEAD_BYTES
        if self.bytes_left < 0:
            self.is_full = True
            return False
        self.pieces.append(piece)
        await self._write(piece)
        return not self.sink.is_closed

    async def close_calls(self) -> None:
        """Write a failed result for each call that we ran and that has no result.

        Called when the reply has ended, even if it is full, so that nobody waits for a result.
        """
        parts = assemble_parts(self.pieces)
        for part in with_all_results(parts)[len(parts) :]:
            if isinstance(part, ToolResultPart):
                self.pieces.append(ToolResultPiece(part))
                await self._write(self.pieces[-1])

    async def open(self) -> None:
        """Write ``opening``, if that has not been done."""
        opening, self.opening = self.opening, ()
        for piece in opening:
            await self._write(piece)

    def _write(self, piece: Piece) -> Awaitable[None]:
        self._number += 1
        return self.sink.put(NumberedPiece(self._number, piece))
