"""Prepares a turn before the model is asked: asks the hook, and fits the prompt again."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput, NothingToContinue
from domain.model.identifiers import ConversationRef
from domain.model.piece import Piece
from domain.model.preparation import NOTHING_PREPARED, HookPolicy, Preparation
from domain.model.prompt import Prompt, ReplyOptions
from domain.model.turn import Turn
from domain.service.forgetting import fitted, forgotten_before, newest_exchange_from
from domain.service.preparing import (
    has_room,
    has_room_for_all,
    opening_pieces,
    question_of,
    with_passages_that_fit,
    with_preparation,
)
from domain.service.prompt_building import build_prompt
from domain.service.turn_lifecycle import with_reply_so_far
from entrypoints.usecases.fit_prompt import FitPrompt
from entrypoints.usecases.offered_tools import Offer, OfferedTools
from entrypoints.usecases.prompt_budget import PromptBudget
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.telemetry import Telemetry
from ports.turn_hook import HookAnswerInvalid, HookError, HookFailure, TurnHook


@frozen(kw_only=True)
class PreparedTurn:
    """An open turn for which the model can be asked.

    Attributes:
        conversation: the model can see all of its working memory.
        budget: the budget of the prompt.
        options: the caller's options, with those of the hook.
        offer: the tools among the options.
        preparation: what the hook wants.
        hook_time: how long the hook took; None if there is none.
    """

    conversation: Conversation
    budget: Budget
    options: ReplyOptions
    offer: Offer = Offer()
    preparation: Preparation = NOTHING_PREPARED
    hook_time: timedelta | None = None

    @property
    def opening(self) -> Sequence[Piece]:
        """The pieces that precede the reply."""
        return opening_pieces(self.conversation, self.preparation, self.options.passages)


@frozen(kw_only=True)
class PrepareTurn:
    """Decides what the prompt of an open turn is made from."""

    hook: TurnHook
    policy: HookPolicy
    assistant: Assistant
    keys: ClientKeys
    fit_prompt: FitPrompt
    offered_tools: OfferedTools
    budget: PromptBudget
    clock: Clock
    telemetry: Telemetry

    async def prepare(
        self, ref: ConversationRef, conversation: Conversation, options: ReplyOptions
    ) -> PreparedTurn:
        """The open turn with what the hook wants.

        The hook changes nothing if it fails and the policy does not require it.

        Raises:
            HookError: the hook failed, and the policy requires it.
        """
        visible, turn = self.fit_prompt.visible(conversation), conversation.open_turn
        offer = await self.offered_tools(options)
        unprepared = PreparedTurn(
            conversation=visible,
            budget=self.budget.current,
            options=offer.in_options(options),
            offer=offer,
        )
        if turn is None or not self.policy.enabled:
            return unprepared
        started_at = self.clock.monotonic()
        try:
            preparation = await self._ask(ref, conversation, turn)
            prepared = await self._apply(preparation, unprepared, options)
        except HookError as error:
            self._report(error)
            if self.policy.is_required:
                raise
            prepared = unprepared
        return evolve(prepared, hook_time=self.clock.monotonic() - started_at)

    def shortened(self, turn: PreparedTurn, refused: Prompt, budget: Budget) -> PreparedTurn | None:
        """The turn with less in its working memory, or fewer passages, for a smaller budget.

        None if the prompt would not be shorter than the ``refused`` one, or if nothing may be left
        out.
        """
        visible = turn.conversation
        system = self.assistant.system_prompt_for(visible)
        options = with_passages_that_fit(visible, system, budget, turn.options)
        if options.may_truncate:
            try:
                visible = fitted(visible, system, budget, options=options)
            except (InvalidInput, NothingToContinue):
                # The estimate may be too high, so the newest exchange is worth an attempt.
                visible = forgotten_before(visible, newest_exchange_from(visible))
        prompt = build_prompt(visible, system, budget, options=options)
        is_shorter = (
            len(prompt.messages) < len(refused.messages)
            or len(options.passages) < len(turn.options.passages)
            or (options.may_truncate and prompt.reply_tokens < refused.reply_tokens)
        )
        shorter = evolve(turn, conversation=visible, budget=budget, options=options)
        return shorter if is_shorter else None

    def after_step(
        self, first: PreparedTurn, sent: PreparedTurn, pieces: Sequence[Piece]
    ) -> PreparedTurn:
        """The turn for the next step, in which the model sees what was written so far.

        ``first`` is the turn before the first step, ``sent`` the newest one that the model got.
        Older messages leave working memory if the prompt has no room for them.
        """
        first_seen = sent.conversation.working_memory_from
        base = evolve(first.conversation, working_memory_from=first_seen)
        visible = with_reply_so_far(base, pieces)
        system = self.assistant.system_prompt_for(visible)
        options = with_passages_that_fit(visible, system, sent.budget, sent.options)
        if options.may_truncate:
            # Without room in any case, the model decides: the estimate may be too high.
            with suppress(InvalidInput, NothingToContinue):
                visible = fitted(visible, system, sent.budget, options=options)
        return evolve(sent, conversation=visible, options=options)

    async def _ask(
        self, ref: ConversationRef, conversation: Conversation, turn: Turn
    ) -> Preparation:
        pseudonym = self.keys.conversation_pseudonym(ref)
        question = question_of(
            conversation, turn, pseudonym=pseudonym, messages=self.policy.messages
        )
        return await self.hook.prepare(question)

    async def _apply(
        self, preparation: Preparation, turn: PreparedTurn, own_options: ReplyOptions
    ) -> PreparedTurn:
        """The turn with what the hook wants, and no more in working memory than still fits.

        ``own_options`` are those of the caller. Passages that do not fit beside the newest exchange
        are left out, the last ones first.

        Raises:
            HookAnswerInvalid: there is no room for the rest of what the hook wants.
        """
        visible = turn.conversation
        system = self.assistant.system_prompt_for(visible)
        budget = self.budget.current  # It may have changed while the hook was asked.
        options = with_preparation(visible, own_options, preparation)
        offer = await self.offered_tools(
            options, own_tools=bool(own_options.tools), names=preparation.offered
        )
        if offer.unknown_names:
            # Not the names: the hook may have taken them from what somebody wrote.
            self.telemetry.emit("hook.unknown-tool", tools=offer.unknown_names)
        options = offer.in_options(options)
        is_longer = preparation.reply is None and preparation.lengthens_prompt
        if is_longer and not has_room_for_all(visible, system, budget, options):
            options = with_passages_that_fit(visible, system, budget, options)
            if has_room(visible, system, budget, options):
                visible = fitted(visible, system, budget, options=options)
            elif has_room(visible, system, budget, turn.options):
                field = "instructions" if preparation.instructions else "tools"
                raise HookAnswerInvalid(HookFailure(field=field, reason="too-long"))
            # Without room in any case, the model decides: the estimate may be too high.
        return evolve(
            turn,
            conversation=visible,
            budget=budget,
            options=options,
            offer=offer,
            preparation=preparation,
        )

    def _report(self, error: HookError) -> None:
        self.telemetry.emit(
            "hook.failed",
            error=error.code,
            host=error.details.host,
            status=error.details.status,
            reason=error.details.reason,
            field=error.details.field,
        )
