"""Starts a turn: what all requests for a reply have in common.

``StartTurn`` runs the whole turn independently of the request. ``OpenTurn`` stores the turn as
open. If another turn is open, it rejects the request or stops that turn; a turn whose process died
is settled. ``AbandonTurn`` closes a turn that may have been opened although the request failed.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import Final

from attrs import field, frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, TurnInProgress, TurnSuperseded
from domain.model.identifiers import ConversationRef, Owner, SessionId, TurnId, TurnRef
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.rate_limits import Payer
from domain.model.turn import IdempotencyKey, Outcome, Turn, TurnEnd, TurnPolicy
from domain.service.idempotency import turn_for_key
from domain.service.reply_reading import end_of
from domain.service.turn_lifecycle import NewTurn, fail, settle
from entrypoints.usecases.follow_turn import TurnWatch
from entrypoints.usecases.retrying import retrying
from entrypoints.usecases.run_turn import RunTurn
from entrypoints.usecases.turn_permit import TurnPermit
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import (
    ConversationBusy,
    StoredStateUnreadable,
    StoreUnavailable,
    TurnLogNotFound,
)
from ports.identifier_source import IdentifierSource
from ports.process_lease import ProcessLease
from ports.rate_limiter import RateLimiter
from ports.telemetry import Telemetry
from ports.turn_log import Batch, TurnLog
from ports.turn_runner import Signals, TurnRunner

TURN_WINDOW: Final = 200
"""How many messages are loaded for a turn; the model's budget rarely has room for more."""

_AFTER_ALL_PIECES: Final = 2**53
_AT_ONCE: Final = timedelta()


class OnBusy(Enum):
    """What to do if another reply is still being written."""

    REJECT = "reject"
    INTERRUPT = "interrupt"


@frozen(kw_only=True)
class TurnRequest:
    """What every request for a turn in a stored conversation contains.

    Attributes:
        payer: whose limits count the request.
        idempotency: the Idempotency-Key as digests; None if the client sent none.
    """

    session_id: SessionId
    payer: Payer
    on_busy: OnBusy = OnBusy.REJECT
    idempotency: IdempotencyKey | None = None


@frozen(kw_only=True)
class Started:
    """A turn to follow.

    Attributes:
        conversation: as stored when the turn was opened or joined.
        restarted: True if the requested conversation is gone and a new one was created.
    """

    owner: Owner = field(repr=False)
    conversation: Conversation
    restarted: bool = False

    @property
    def turn(self) -> Turn:
        """The turn; it belongs to an earlier request if this one repeats it."""
        if self.conversation.turn is None:
            raise AssertionError("a conversation with a started turn has a turn")
        return self.conversation.turn

    @property
    def ref(self) -> ConversationRef:
        """The turn's conversation."""
        return ConversationRef(self.owner, self.conversation.id)

    @property
    def turn_ref(self) -> TurnRef:
        """The turn and its conversation."""
        return TurnRef(self.ref, self.turn.id)


@frozen(kw_only=True)
class AbandonTurn:
    """Fails a turn that no process runs, so that no request waits for it."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def __call__(self, turn_ref: TurnRef) -> None:
        """Close the turn if it is open, retrying for ``TurnPolicy.save_timeout``.

        Its Idempotency-Key is released. If the client sends the message again, it replaces the
        unanswered one. Nothing is raised: a turn that cannot be closed is settled later, like a
        turn whose process died.
        """
        closed_at = self.clock.now()

        def close(conversation: Conversation) -> Conversation:
            turn = conversation.open_turn
            if turn is None or turn.id != turn_ref.turn_id:
                return conversation
            return fail(conversation, turn.id, (), closed_at, StoreUnavailable.code)

        async def attempt() -> None:
            conversation = await self.store.update(turn_ref.conversation, close, last=1)
            if conversation.turn is not None and conversation.turn.id == turn_ref.turn_id:
                end = TurnEnd(outcome=Outcome.FAILED, error=StoreUnavailable.code)
                await self.log.end(turn_ref.conversation, conversation.turn, end)

        ignored = (ConversationNotFound, StoredStateUnreadable, StoreUnavailable, ConversationBusy)
        with suppress(*ignored):
            await retrying(attempt, self.clock, self.policy.save_timeout)


@frozen(kw_only=True)
class OpenTurn:
    """Stores a turn as open. The open turn is the conversation's lock: only one can be open."""

    store: ConversationStateStore
    log: TurnLog
    runner: TurnRunner
    clock: Clock
    policy: TurnPolicy
    telemetry: Telemetry
    watch: TurnWatch

    async def create(
        self, owner: Owner, conversation: Conversation, new_turn: NewTurn
    ) -> Conversation:
        """Store a new conversation in which ``new_turn`` is open.

        Raises:
            ConversationExists: the id is taken.
            ConversationGone: it was forgotten while it was being created.
            StoreUnavailable: the turn may be open anyway; the error's ``turn_ref`` names it.
        """
        try:
            await self.store.create(owner, conversation)
        except StoreUnavailable as error:
            error.turn_ref = TurnRef(ConversationRef(owner, conversation.id), new_turn.turn_id)
            raise
        return conversation

    async def __call__(
        self,
        ref: ConversationRef,
        new_turn: NewTurn,
        change: Change,
        on_busy: OnBusy = OnBusy.REJECT,
    ) -> Conversation:
        """The conversation after ``change``, which opens ``new_turn`` or joins an earlier one.

        A turn that was opened with the same Idempotency-Key is joined without calling ``change``.
        The newest ``TURN_WINDOW`` messages are loaded. A turn whose process died is settled
        first, even one that the request would join.

        Raises:
            TurnInProgress: another turn is open, and may not be interrupted or did not end in
                time.
            IdempotencyKeyReused: the same key with another request.
            RequestAlreadyAnswered: an older turn had the same key.
            DomainError: as raised by ``change``.
            StoreUnavailable: the turn may be open anyway; the error's ``turn_ref`` names it.
            PortError: the store failed.
        """

        def open_or_join(conversation: Conversation) -> Conversation:
            if turn_for_key(conversation, new_turn.idempotency):
                return conversation
            return change(conversation)

        try:
            return await self._when_free(ref, open_or_join, on_busy, new_turn.turn_id)
        except StoreUnavailable as error:
            error.turn_ref = TurnRef(ref, new_turn.turn_id)
            raise

    async def edit(self, ref: ConversationRef, change: Change) -> Conversation:
        """The conversation after ``change``, which opens no turn; a dead turn is settled first.

        Raises:
            TurnInProgress: a turn is open.
            DomainError: as raised by ``change``.
            PortError: the store failed.
        """
        return await self._when_free(ref, change, OnBusy.REJECT, None)

    async def stop_and_wait(self, turn_ref: TurnRef) -> bool:
        """Stop this turn and wait at most ``TurnPolicy.stop_timeout``; True if it has ended."""
        deadline = self.clock.monotonic() + self.policy.stop_timeout
        while (left := deadline - self.clock.monotonic()) > _AT_ONCE:
            # Repeat the stop: a log that was lost and opened again no longer has it.
            await self.log.stop(turn_ref)
            self.runner.wake(turn_ref.turn_id)
            if await self._has_ended(turn_ref, min(left, self.policy.heartbeat)):
                return True
            if await self._settle_if_dead(turn_ref):
                return True
        return False

    async def _when_free(
        self, ref: ConversationRef, change: Change, on_busy: OnBusy, turn_id: TurnId | None
    ) -> Conversation:
        deadline = self.clock.monotonic() + self.policy.stop_timeout
        while True:
            try:
                conversation = await self.store.update(ref, change, last=TURN_WINDOW)
            except TurnInProgress as busy:
                other = TurnRef(ref, TurnId(busy.turn_id))
                if await self._settle_if_dead(other):
                    continue
                may_stop = on_busy is OnBusy.INTERRUPT and busy.can_interrupt
                if not may_stop or self.clock.monotonic() >= deadline:
                    raise
                await self.stop_and_wait(other)
            else:
                turn = conversation.open_turn
                if turn is None or turn.id == turn_id:
                    return conversation
                # Join the turn of an earlier request, unless its process has died.
                if not await self._settle_if_dead(TurnRef(ref, turn.id)):
                    return conversation

    async def _has_ended(self, turn_ref: TurnRef, wait: timedelta) -> bool:
        """Whether the turn ends within ``wait``."""
        with suppress(TurnLogNotFound):
            return (await self.log.read(turn_ref, _AFTER_ALL_PIECES, wait)).end is not None
        try:
            turn = (await self.store.load(turn_ref.conversation, last=1)).open_turn
        except ConversationNotFound:
            return True
        if turn is None or turn.id != turn_ref.turn_id:
            return True
        await self.clock.sleep(wait)
        return False

    async def _settle_if_dead(self, turn_ref: TurnRef) -> bool:
        """Settle the turn with its logged pieces if no process runs it.

        Returns True if the turn is closed, or its conversation no longer exists.
        """
        batch = await self._logged(turn_ref)
        # An end in the log of an open turn means that the writer could not store the reply.
        if batch.end is None and not await self.watch.is_dead(turn_ref):
            return False
        pieces, now = [numbered.piece for numbered in batch.pieces], self.clock.now()
        ref = turn_ref.conversation
        try:
            settled = await self.store.update(
                ref, lambda conversation: settle(conversation, turn_ref.turn_id, pieces, now)
            )
        except (TurnSuperseded, ConversationNotFound):
            return True
        if settled.turn is not None:
            await self.log.end(ref, settled.turn, end_of(settled, settled.turn))
        self.telemetry.emit("turn.settled", session_id=ref.session_id, pieces=len(pieces))
        return True

    async def _logged(self, turn_ref: TurnRef) -> Batch:
        try:
            return await self.log.read(turn_ref, 0, _AT_ONCE)
        except TurnLogNotFound:
            return Batch()


@frozen(kw_only=True)
class StartTurn:
    """Opens and runs a turn independently of the request: a disconnect does not stop it."""

    runner: TurnRunner
    open_turn: OpenTurn
    run_turn: RunTurn
    abandon_turn: AbandonTurn
    limiter: RateLimiter
    keys: ClientKeys
    identifiers: IdentifierSource
    lease: ProcessLease
    clock: Clock

    def permit(self, payer: Payer, turn_id: TurnId, stored_bytes: int = 0) -> TurnPermit:
        """The permit of a turn that adds ``stored_bytes`` of text to what is stored."""
        return TurnPermit(
            limiter=self.limiter,
            keys=self.keys,
            clock=self.clock,
            payer=payer,
            turn_id=turn_id,
            stored_bytes=stored_bytes,
        )

    def new_turn(self, idempotency: IdempotencyKey | None = None) -> NewTurn:
        """The ids and the time of a new turn."""
        return NewTurn(
            turn_id=self.identifiers.turn_id(),
            reply_id=self.identifiers.message_id(),
            at=self.clock.now(),
            process=self.lease.process,
            idempotency=idempotency,
        )

    async def in_conversation(
        self,
        owner: Owner,
        request: TurnRequest,
        size: int,
        change: Callable[[Conversation, NewTurn], Conversation],
    ) -> Started:
        """The turn that ``change`` opens in a stored conversation, or an earlier one that it joins.

        ``size`` is how many bytes of text ``change`` adds.

        Raises:
            TooManyRequests: nothing was changed.
            DomainError, PortError: as raised by ``OpenTurn`` and ``__call__``.
        """
        new_turn = self.new_turn(request.idempotency)
        permit = self.permit(request.payer, new_turn.turn_id, size)

        async def open_it() -> Conversation:
            await permit.obtain(request.session_id)
            return await self.open_turn(
                ConversationRef(owner, request.session_id),
                new_turn,
                lambda conversation: change(conversation, new_turn),
                request.on_busy,
            )

        return await self(owner, new_turn, open_it, permit)

    async def __call__(
        self,
        owner: Owner,
        new_turn: NewTurn,
        open_it: Callable[[], Awaitable[Conversation]],
        permit: TurnPermit,
        options: ReplyOptions = DEFAULT_OPTIONS,
    ) -> Started:
        """The turn that ``open_it`` stored or joined; its reply is written in the background.

        ``open_it`` obtains ``permit`` before it opens the turn. If it is unknown whether the turn
        was opened, it is abandoned.

        Raises:
            TooManyTurns, ShuttingDown: ``open_it`` was not called.
            Exception: whatever ``open_it`` raised.
        """

        async def open_permitted() -> Conversation:
            try:
                conversation = await open_it()
            except StoreUnavailable:
                await permit.close()  # The turn may have been stored, so nothing is given back.
                raise
            except Exception:
                await permit.cancel()
                raise
            turn = conversation.open_turn
            if turn is None or turn.id != new_turn.turn_id:
                await permit.cancel()
            return conversation

        async def reply(conversation: Conversation, signals: Signals) -> None:
            await permit.begin()
            await self.run_turn(owner, conversation, signals, permit, options)

        async def abandon(error: StoreUnavailable) -> None:
            if error.turn_ref is not None:
                await self.abandon_turn(error.turn_ref)

        conversation = await self.runner.run(new_turn.turn_id, open_permitted, reply, abandon)
        return Started(owner=owner, conversation=conversation)
