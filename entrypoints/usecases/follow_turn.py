"""Follows a turn, starting at any piece, even after its log is gone.

A turn is open in the stored conversation until its runner ends it, or another process settles it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import timedelta

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.message import Part
from domain.model.piece import NumberedPiece
from domain.model.turn import Outcome, Turn, TurnEnd, TurnPolicy
from domain.service.reply_reading import (
    end_of,
    reply_of,
    split_before_turn,
    unheard,
)
from entrypoints.usecases.dead_turns import TurnWatch
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import StoreUnavailable, TurnLogNotFound
from ports.turn_log import Batch, TurnLog


@frozen(kw_only=True)
class FollowTurn:
    """Reads what a turn streams. Following leaves no trace, and several clients may follow."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy
    watch: TurnWatch

    async def running(self, ref: ConversationRef) -> Turn | None:
        """The open turn; None if no turn is open or the conversation does not exist."""
        try:
            return (await self.store.load(ref, last=1)).open_turn
        except ConversationNotFound:
            return None

    async def prior_parts(self, ref: ConversationRef, turn: Turn) -> tuple[Part, ...]:
        """The parts that the reply had before this turn continued it; empty for a new reply."""
        if not turn.continues:
            return ()
        try:
            conversation = await self.store.load(ref, last=1)
        except ConversationNotFound:
            return ()
        reply = conversation.messages[-1] if conversation.messages else None
        if reply is None or reply.id != turn.reply_id:
            return ()
        return split_before_turn(reply, turn)[0]

    async def batches(
        self, turn_ref: TurnRef, heartbeat: timedelta, *, after: int = 0
    ) -> AsyncGenerator[Batch, None]:
        """Batches of the turn until its end; an empty one if nothing arrives within ``heartbeat``.

        ``after`` is the number of the last piece that the caller already has; the batches still
        begin with the first piece. While the store cannot be reached, batches are empty, for at
        most ``TurnPolicy.save_timeout`` and ``dead_after`` together.

        Raises:
            TurnLogNotFound: the log was lost before piece ``after`` was read. The stored reply
                cannot replace it, because its pieces have other numbers.
            StoreUnavailable: the store could not be reached for longer than that.
            StoredStateUnreadable: the log or the conversation cannot be decrypted or decoded.
        """
        seen: list[NumberedPiece] = []
        unreachable_since: timedelta | None = None
        while True:
            try:
                batch = await self.read(turn_ref, seen, heartbeat, after=after)
            except StoreUnavailable:
                now = self.clock.monotonic()
                unreachable_since = now if unreachable_since is None else unreachable_since
                if now - unreachable_since >= self.policy.save_timeout + self.policy.dead_after:
                    raise
                yield Batch()
                await self.clock.sleep(self.policy.heartbeat)
                continue
            unreachable_since = None
            yield batch
            if batch.end is not None:
                return
            seen += batch.pieces

    async def read(
        self,
        turn_ref: TurnRef,
        seen: Sequence[NumberedPiece],
        wait: timedelta,
        *,
        after: int = 0,
    ) -> Batch:
        """The pieces after ``seen``; an empty batch if none arrived within ``wait``.

        Raises:
            TurnLogNotFound: as in ``batches``.
            StoreUnavailable: the log or the store cannot be reached.
        """
        last = seen[-1].number if seen else 0
        is_dead = False
        with suppress(TurnLogNotFound):
            batch = await self.log.read(turn_ref, last, wait)
            self.watch.found(turn_ref.turn_id)
            is_dead = batch.is_empty and await self.watch.is_dead(turn_ref)
            if not is_dead:
                return batch
            # The turn may have been stored, although its end was not logged.
        batch = await self._from_store(turn_ref, seen, wait, is_dead=is_dead)
        if last < after and batch.pieces:
            raise TurnLogNotFound
        return batch

    async def _from_store(
        self,
        turn_ref: TurnRef,
        seen: Sequence[NumberedPiece],
        wait: timedelta,
        *,
        is_dead: bool,
    ) -> Batch:
        try:
            conversation = await self.store.load(turn_ref.conversation, last=1)
        except ConversationNotFound:
            return Batch(end=TurnEnd(outcome=Outcome.GONE, error="conversation_gone"))
        turn = conversation.turn
        if turn is None or turn.id != turn_ref.turn_id:
            return Batch(end=TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded"))
        if not turn.is_open:
            pieces = _stored_pieces(conversation, turn, seen)
            return Batch(pieces=pieces, end=end_of(conversation, turn))
        if is_dead or await self.watch.is_dead(turn_ref):
            return Batch(end=TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned"))
        await self.clock.sleep(min(wait, self.policy.heartbeat))
        return Batch()


def _stored_pieces(
    conversation: Conversation, turn: Turn, seen: Sequence[NumberedPiece]
) -> Sequence[NumberedPiece]:
    reply = reply_of(conversation.messages, turn)
    if reply is None:
        return ()
    pieces = unheard(reply, turn, (numbered.piece for numbered in seen))
    first = seen[-1].number + 1 if seen else 1
    return tuple(NumberedPiece(number, piece) for number, piece in enumerate(pieces, first))
