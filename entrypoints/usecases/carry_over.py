"""Begins a conversation that continues another one."""

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import WORKING_MEMORY, Conversation, with_welcome
from domain.model.errors import OlderMessagesNeeded
from domain.model.identifiers import ConversationRef
from domain.model.message import utf8_length
from domain.model.rate_limits import Charge, Payer, Quota
from domain.service.carrying_over import CarriedOver, carried_over, continuation
from domain.service.metadata import charged_bytes, with_metadata
from domain.service.summarizing import Fold, SummaryPolicy, folded, next_fold
from domain.service.turn_lifecycle import require_no_open_turn
from entrypoints.usecases.dead_turns import SettleTurn
from entrypoints.usecases.fit_prompt import FitPrompt
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.write_summary import NoSummary, WriteSummary
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.language_model import ContextExceeded, ModelError
from ports.rate_limiter import RateLimiter

_LAST_ATTEMPT: Final = 2
"""The caller waits for two requests to the model at most; the second one takes all that is left."""


@frozen(kw_only=True)
class CarryOver:
    """Begins a conversation with the summary and the newest messages of another one.

    The other conversation does not change. What the summary does not cover and is not copied is
    folded into the summary first, unless the operator has switched summaries off.
    """

    store: ConversationStateStore
    settle_turn: SettleTurn
    assistant: Assistant
    budget: PromptBudget
    fit_prompt: FitPrompt
    write_summary: WriteSummary
    summaries: SummaryPolicy
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def __call__(
        self,
        ref: ConversationRef,
        *,
        payer: Payer,
        locales: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Conversation:
        """The new conversation, which begins with the welcome only if nothing could be kept.

        If ``locales`` or ``metadata`` is None, it is that of the other conversation.

        Raises:
            ConversationNotFound: the other conversation does not exist.
            TurnInProgress: a reply is being written in it.
            TooManyRequests: this caller created or stored too much, or has no tokens left.
            ModelError: the summary could not be written; nothing was created.
            PortError: the store failed.
        """
        known = await self.settle_turn.load(ref, last=WORKING_MEMORY)
        require_no_open_turn(known)
        if locales is not None:
            known = evolve(known, locale=self.assistant.locale_for(locales))
        if metadata is not None:
            known = with_metadata(known, metadata)
        carried = self._carried(known)
        state = utf8_length(known.hook_state or "")
        stored = carried.counted_bytes + charged_bytes(known.metadata) + state
        amounts = {Quota.NEW: 1, Quota.STORED_BYTES: stored}
        await self.limiter.consume(Charge(payer=payer, amounts=amounts))
        if self.summaries.enabled:
            known = await self._summarized(ref, known, carried.until, payer)
        following = self._continuation(known, carried)
        await self.store.create(ref.owner, following)
        return following

    def _carried(self, known: Conversation) -> CarriedOver:
        visible = self.fit_prompt.visible(known)
        system = self.assistant.system_prompt_for(known)
        carried = carried_over(visible, system, self.budget.current)
        return carried.with_content_of(known)

    def _continuation(self, known: Conversation, carried: CarriedOver) -> Conversation:
        following = continuation(
            known,
            carried,
            [self.identifiers.message_id() for _ in carried.messages],
            session_id=self.identifiers.session_id(),
            at=self.clock.now(),
        )
        if following.messages or following.summary:
            return following
        welcome = self.assistant.welcomes[self.assistant.locale_for([known.locale])]
        return with_welcome(following, self.identifiers.message_id(), welcome)

    async def _summarized(
        self, ref: ConversationRef, known: Conversation, until: int, payer: Payer
    ) -> Conversation:
        """The conversation with a summary of everything before message ``until``.

        Raises:
            ModelError, TooManyRequests, PortError: it could not be written.
        """
        for attempt in (1, _LAST_ATTEMPT):
            is_last = attempt == _LAST_ATTEMPT
            try:
                fold = self._fold(known, until, at_once=is_last)
            except OlderMessagesNeeded:
                stored = await self.store.load(ref)
                known = evolve(known, messages=stored.messages, earlier=stored.earlier)
                fold = self._fold(known, until, at_once=is_last)
            if fold is None:
                break
            try:
                summary = await self.write_summary(fold, payer)
            except NoSummary:
                raise ModelError from None
            except ContextExceeded:
                # The budget has learned from the refusal, so the next request is shorter.
                if is_last:
                    raise
                continue
            known = folded(known, fold, summary.text)
        return known

    def _fold(self, known: Conversation, until: int, *, at_once: bool) -> Fold | None:
        return next_fold(
            known,
            self.assistant,
            self.budget.current,
            until=until,
            at=self.clock.now(),
            at_once=at_once,
        )
