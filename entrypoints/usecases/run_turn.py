"""Runs an open turn to its end: streams the reply into the turn's log and stores it.

The reply is stored before its end is logged, so a follower that has seen the end finds the reply in
the history.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from attrs import define, evolve, field, frozen

from domain.model.conversation import WORKING_MEMORY, Conversation
from domain.model.errors import ConversationNotFound, DomainError, TurnSuperseded
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from domain.model.message import Usage, text_bytes
from domain.model.piece import NumberedPiece, assemble_parts
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.turn import Outcome, Turn, TurnEnd, TurnPolicy
from domain.service.forgetting import forgotten_before
from domain.service.prompt_building import with_prompt_report
from domain.service.reply_reading import end_of
from domain.service.turn_lifecycle import fail, finish, interrupt
from entrypoints.usecases.fold_summary import FoldSummary
from entrypoints.usecases.offered_tools import OfferedTools
from entrypoints.usecases.retrying import retrying
from entrypoints.usecases.stream_reply import ReplyDetails, StreamReply
from entrypoints.usecases.turn_permit import TurnPermit
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import PortError
from ports.turn_log import AppendResult, TurnLog
from ports.turn_runner import Signals


@define(kw_only=True)
class LoggedReply:
    """The reply to one open turn, logged while it streams.

    Attributes:
        pieces: all pieces so far.
    """

    store: ConversationStateStore
    log: TurnLog
    ref: ConversationRef
    turn: Turn
    pieces: list[NumberedPiece] = field(factory=list, repr=False)
    _logged_count: int = field(default=0, init=False)
    _last_result: AppendResult = field(default=AppendResult.CONTINUE, init=False)

    async def put(self, piece: NumberedPiece) -> None:
        """See ``ReplySink.put``."""
        self.pieces.append(piece)
        await self.log_pending()

    async def keep_alive(self) -> None:
        """See ``ReplySink.keep_alive``."""
        await self.log_pending()

    @property
    def text_bytes(self) -> int:
        """Bytes of text in the reply so far."""
        return sum(map(text_bytes, assemble_parts(numbered.piece for numbered in self.pieces)))

    @property
    def is_closed(self) -> bool:
        """True once the turn was stopped, superseded or forgotten."""
        return self._last_result is not AppendResult.CONTINUE

    async def log_pending(self) -> None:
        """Log the pieces that are not logged yet, or a heartbeat if there are none.

        A log that cannot be reached is not an error: the next call sends the missing pieces.
        """
        count = len(self.pieces)
        with suppress(PortError):
            self._last_result = await self._append(self.pieces[self._logged_count : count])
            self._logged_count = max(self._logged_count, count)

    async def close_log(self, end: TurnEnd) -> None:
        """Log the end. A failure is not raised: a log without an end expires."""
        with suppress(PortError):
            await self.log.end(self.ref, self.turn, end)

    async def _append(self, pieces: Sequence[NumberedPiece]) -> AppendResult:
        result = await self.log.append(self.ref, self.turn, pieces)
        if result is not AppendResult.GONE:
            return result
        # If only the log was lost, open it again and append every piece.
        if not await self.store.ensure_log(TurnRef(self.ref, self.turn.id)):
            return result
        return await self.log.append(self.ref, self.turn, list(self.pieces))


@frozen(kw_only=True)
class SaveReply:
    """Stores a reply once it has ended."""

    store: ConversationStateStore
    clock: Clock
    policy: TurnPolicy

    async def __call__(
        self, conversation: Conversation, reply: LoggedReply, end: TurnEnd, signals: Signals
    ) -> tuple[TurnEnd, Conversation | None]:
        """Store the reply, which ended with ``end``; returns how the turn ended.

        Also returns the conversation as it is stored now; None if the reply was not stored.
        While the store cannot be reached, storing is retried for ``TurnPolicy.save_timeout``, but
        not once the process shuts down. The turn is kept alive meanwhile. If the conversation is
        gone, the turn was superseded or the reply could not be stored, the returned end says so.
        The usage in it is that of the whole reply, even if the turn only continued it.
        """
        change = _change_for(reply, end, self.clock.now())
        base: Conversation | None = conversation

        async def save() -> Conversation:
            nonlocal base
            if base is None:
                await reply.log_pending()
            last_seen, base = base, None
            return await self.store.update(reply.ref, change, base=last_seen, last=WORKING_MEMORY)

        try:
            stored = await retrying(save, self.clock, self.policy.save_timeout, signals)
        except ConversationNotFound:
            return TurnEnd(outcome=Outcome.GONE, error="conversation_gone"), None
        except TurnSuperseded:
            return TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded"), None
        except (PortError, DomainError):
            return TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved"), None
        end = evolve(end, expires_at=stored.expires_at, usage=_reply_usage(stored, end))
        return end, stored


def _reply_usage(stored: Conversation, end: TurnEnd) -> Usage | None:
    """The usage of the whole reply; ``stored`` is the conversation after the turn."""
    turn = stored.turn
    return end.usage if turn is None or turn.cut_at is None else end_of(stored, turn).usage


def _change_for(reply: LoggedReply, end: TurnEnd, at: datetime) -> Change:
    change, reply_id, report = _ending(reply, end, at), reply.turn.reply_id, end.prompt_report

    def ended(stored: Conversation) -> Conversation:
        shortened = forgotten_before(change(stored), end.working_memory_from)
        return with_prompt_report(shortened, reply_id, report)

    return ended


def _ending(reply: LoggedReply, end: TurnEnd, at: datetime) -> Change:
    turn_id, pieces = reply.turn.id, [numbered.piece for numbered in reply.pieces]
    if (reason := end.finish_reason) is not None:
        return lambda stored: finish(stored, turn_id, pieces, at, reason=reason, usage=end.usage)
    if (error := end.error) is not None:
        return lambda stored: fail(stored, turn_id, pieces, at, error)
    return lambda stored: interrupt(stored, turn_id, pieces, at)


@frozen(kw_only=True)
class RunTurn:
    """Runs one turn to its end. Only the turn runner calls it, never a request."""

    store: ConversationStateStore
    log: TurnLog
    stream_reply: StreamReply
    save_reply: SaveReply
    fold_summary: FoldSummary
    offered_tools: OfferedTools
    clock: Clock

    async def __call__(
        self,
        owner: Owner,
        conversation: Conversation,
        signals: Signals,
        permit: TurnPermit,
        options: ReplyOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Stream and store the reply to the open turn, count what it used, and log its end.

        Only then may messages be folded into the summary, in the background.

        If no turn is open, does nothing. A failure becomes the turn's end; nothing is raised.
        """
        turn = conversation.open_turn
        if turn is None:
            return
        started_at = self.clock.monotonic()
        ref = ConversationRef(owner, conversation.id)
        reply = LoggedReply(store=self.store, log=self.log, ref=ref, turn=turn)
        details, stored = ReplyDetails(), None
        own_usage: Usage | None = None
        try:
            end, details = await self.stream_reply(
                ref, conversation, options, reply, signals, permit=permit
            )
            own_usage = end.usage
            end, stored = await self.save_reply(conversation, reply, end, signals)
        except Exception as error:  # noqa: BLE001 - followers get an end, whatever failed
            self.stream_reply.report_crash(error)
            end = TurnEnd(outcome=Outcome.NOT_SAVED, error="internal_error")
        # The slot is released before the end is sent: a client that sees the end can open a turn.
        await asyncio.gather(permit.close(reply_bytes=reply.text_bytes), reply.close_log(end))
        self.stream_reply.report_end(
            # The tokens of the reply that it continues were reported with the earlier turn.
            evolve(end, usage=own_usage),
            details,
            session_id=conversation.id,
            turn=turn.number,
            pieces=len(reply.pieces),
            seconds=round((self.clock.monotonic() - started_at).total_seconds(), 3),
        )
        if stored is not None and end.is_complete:
            offer = await self.offered_tools(options)
            self.fold_summary.start(ref, stored, permit.payer, offer.in_options(options))
