"""Starts a turn: what all requests for a reply have in common.

``StartTurn`` runs the whole turn independently of the request. ``OpenTurn`` stores the turn as
open. If another turn is open, it rejects the request or stops that turn; a turn whose process died
is settled first.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import Final, TypeAlias

from attrs import field, frozen

from domain.model.conversation import WORKING_MEMORY, Conversation
from domain.model.errors import ConversationNotFound, TurnInProgress
from domain.model.identifiers import ConversationRef, Owner, SessionId, TurnId, TurnRef
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.rate_limits import Payer
from domain.model.turn import IdempotencyKey, Turn, TurnPolicy
from domain.service.idempotency import turn_for_key
from domain.service.turn_lifecycle import NewTurn, opened_by
from entrypoints.usecases.dead_turns import AFTER_ALL_PIECES, AbandonTurn, SettleTurn, TurnWatch
from entrypoints.usecases.fit_prompt import FitPrompt
from entrypoints.usecases.offered_tools import OfferedTools
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.run_turn import RunTurn
from entrypoints.usecases.turn_permit import TurnPermit
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import StoreUnavailable, TurnLogNotFound
from ports.identifier_source import IdentifierSource
from ports.process_lease import ProcessLease
from ports.rate_limiter import RateLimiter
from ports.turn_log import TurnLog
from ports.turn_runner import Signals, TurnRunner

OnWait: TypeAlias = Callable[[SessionId], None]

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
        on_wait: called if the turn still has to wait for another one to end after
            ``TurnPolicy.silent_wait``, with the conversation; None if the request has to be
            rejected then, because its client cannot be told.
        idempotency: the Idempotency-Key as digests; None if the client sent none.
    """

    session_id: SessionId
    payer: Payer
    on_busy: OnBusy = OnBusy.REJECT
    on_wait: OnWait | None = None
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
class OpenTurn:
    """Stores a turn as open. The open turn is the conversation's lock: only one can be open."""

    store: ConversationStateStore
    log: TurnLog
    runner: TurnRunner
    clock: Clock
    policy: TurnPolicy
    watch: TurnWatch
    settle_turn: SettleTurn
    fit_prompt: FitPrompt
    offered_tools: OfferedTools

    async def create(
        self,
        owner: Owner,
        conversation: Conversation,
        new_turn: NewTurn,
        options: ReplyOptions = DEFAULT_OPTIONS,
    ) -> Conversation:
        """Store a new conversation in which ``new_turn`` is open; the model sees what fits.

        Raises:
            InvalidInput: ``message_too_long`` or ``tool_result_too_long``; see ``fitted``.
            ConversationExists: the id is taken.
            ConversationGone: it was forgotten while it was being created.
            StoreUnavailable: the turn may be open anyway; the error's ``turn_ref`` names it.
        """
        options = await self._prompt_options(options)
        conversation = self.fit_prompt(conversation, options)
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
        on_wait: OnWait | None = None,
        *,
        options: ReplyOptions = DEFAULT_OPTIONS,
    ) -> Conversation:
        """The conversation after ``change``, which opens ``new_turn`` or joins an earlier one.

        If it opens ``new_turn``, messages leave the working memory for which the prompt has no
        room. ``options`` are those of the prompt.

        A turn that was opened with the same Idempotency-Key is joined without calling ``change``.
        The working memory is loaded. A turn whose process died is settled
        first, even one that the request would join. ``on_wait`` is that of ``TurnRequest``.

        Raises:
            TurnInProgress: another turn is open, and may not be interrupted or did not end in
                time. If nothing has been heard from it, the error says when it counts as dead.
            IdempotencyKeyReused: the same key with another request.
            RequestAlreadyAnswered: an older turn had the same key.
            InvalidInput: ``message_too_long`` or ``tool_result_too_long``; see ``fitted``.
            DomainError: as raised by ``change``.
            StoreUnavailable: the turn may be open anyway; the error's ``turn_ref`` names it.
            PortError: the store failed.
        """
        options = await self._prompt_options(options)

        def open_or_join(conversation: Conversation) -> Conversation:
            if turn_for_key(conversation, new_turn.idempotency):
                return conversation
            changed = change(conversation)
            is_opened = changed is not conversation and opened_by(changed, new_turn)
            return self.fit_prompt(changed, options) if is_opened else changed

        try:
            return await self._when_free(ref, open_or_join, on_busy, new_turn.turn_id, on_wait)
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

    async def stop_and_wait(self, turn_ref: TurnRef, at_most: timedelta) -> bool:
        """Stop this turn and wait ``at_most`` this long; True if it has ended."""
        deadline = self.clock.monotonic() + at_most
        while (left := deadline - self.clock.monotonic()) > _AT_ONCE:
            # Repeat the stop: a log that was lost and opened again no longer has it.
            await self.log.stop(turn_ref)
            self.runner.wake(turn_ref.turn_id)
            if await self._has_ended(turn_ref, min(left, self.policy.heartbeat)):
                return True
            if await self.settle_turn.if_dead(turn_ref):
                return True
        return False

    async def _prompt_options(self, options: ReplyOptions) -> ReplyOptions:
        """The options with all tools that the prompt will have."""
        return (await self.offered_tools(options)).in_options(options)

    async def _when_free(
        self,
        ref: ConversationRef,
        change: Change,
        on_busy: OnBusy,
        turn_id: TurnId | None,
        on_wait: OnWait | None = None,
    ) -> Conversation:
        deadline = self.clock.monotonic() + self.policy.stop_timeout
        while True:
            try:
                conversation = await self.store.update(ref, change, last=WORKING_MEMORY)
            except TurnInProgress as busy:
                other = TurnRef(ref, TurnId(busy.turn_id))
                if await self.settle_turn.if_dead(other):
                    continue
                may_stop = on_busy is OnBusy.INTERRUPT and busy.can_interrupt
                if not may_stop or self.clock.monotonic() >= deadline:
                    busy.retry_after = await self.watch.dead_in(other)
                    raise
                await self._stop_other(other, busy, on_wait, deadline)
            else:
                turn = conversation.open_turn
                if turn is None or turn.id == turn_id:
                    return conversation
                # Join the turn of an earlier request, unless its process has died.
                if not await self.settle_turn.if_dead(TurnRef(ref, turn.id)):
                    return conversation

    async def _stop_other(
        self, other: TurnRef, busy: TurnInProgress, on_wait: OnWait | None, deadline: timedelta
    ) -> None:
        """Stop the other turn, and wait for its end until ``deadline`` at the latest.

        Raises:
            TurnInProgress: ``busy``, if the client cannot be told that it has to wait.
        """
        if await self.stop_and_wait(other, self.policy.silent_wait):
            return
        if on_wait is None:
            busy.retry_after = await self.watch.dead_in(other) or self.policy.silent_wait
            raise busy
        on_wait(other.conversation.session_id)
        await self.stop_and_wait(other, deadline - self.clock.monotonic())

    async def _has_ended(self, turn_ref: TurnRef, wait: timedelta) -> bool:
        """Whether the turn ends within ``wait``."""
        with suppress(TurnLogNotFound):
            return (await self.log.read(turn_ref, AFTER_ALL_PIECES, wait)).end is not None
        try:
            turn = (await self.store.load(turn_ref.conversation, last=1)).open_turn
        except ConversationNotFound:
            return True
        if turn is None or turn.id != turn_ref.turn_id:
            return True
        await self.clock.sleep(wait)
        return False


@frozen(kw_only=True)
class StartTurn:
    """Opens and runs a turn independently of the request: a disconnect does not stop it."""

    runner: TurnRunner
    open_turn: OpenTurn
    run_turn: RunTurn
    abandon_turn: AbandonTurn
    budget: PromptBudget
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
                request.on_wait,
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
                await self.budget.refresh()
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
