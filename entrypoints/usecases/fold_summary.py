"""Folds the oldest messages of a conversation into its summary, in the background after a turn.

A crash or a failure at any point leaves the conversation as it was, except for a claim, which
becomes void; a later turn tries again. Cancelling it has the same effect.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Final

from attrs import frozen

from domain.model.assistant import Assistant
from domain.model.conversation import WORKING_MEMORY, Conversation, Folding
from domain.model.errors import ConversationNotFound, DomainError, OlderMessagesNeeded
from domain.model.identifiers import ConversationRef, SessionId
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.rate_limits import Payer
from domain.model.turn import TurnPolicy
from domain.service.forgetting import step
from domain.service.summarizing import (
    Fold,
    SummaryPolicy,
    claimed,
    is_void,
    new_claim,
    next_fold,
    released,
    with_summary,
)
from entrypoints.usecases.fit_prompt import FitPrompt
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.retrying import retrying
from entrypoints.usecases.write_summary import NoSummary, Summary, WriteSummary
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import PortError
from ports.language_model import (
    ContentFiltered,
    ContextExceeded,
    FailureDetails,
    ModelError,
    ModelRejectedRequest,
)
from ports.process_lease import ProcessLease
from ports.telemetry import Telemetry
from ports.turn_runner import TurnRunner

_PAUSE: Final = timedelta(minutes=1)
"""How long nothing is tried after a failure; twice as long if the same conversation fails again."""

_LONGEST_PAUSE: Final = timedelta(hours=1)

_MAX_ROUNDS: Final = 4
"""How many summaries are written after one turn, if there is more to fold than fits one prompt."""

_MAX_FAILURES: Final = 10_000


@frozen
class _Failures:
    """How often in a row a conversation has failed, and when the last time was."""

    count: int
    at: timedelta

    def is_recent(self, now: timedelta) -> bool:
        pause: timedelta = min(_PAUSE * 2 ** min(self.count - 1, 10), _LONGEST_PAUSE)
        return now - self.at < pause


class FoldAttempts:
    """What this process remembers about its folds. One instance per process.

    After a failure, the conversation is not folded for a while. If the model has failed, no
    conversation is.
    """

    def __init__(self) -> None:
        """Start with nothing begun and nothing failed."""
        self._begun: dict[SessionId, asyncio.Task[object] | None] = {}
        self._failures: OrderedDict[SessionId, _Failures] = OrderedDict()
        self._model_failed_at: timedelta | None = None

    def may_begin(self, session_id: SessionId, now: timedelta) -> bool:
        """Whether this conversation may be folded now."""
        return session_id not in self._begun and not self.has_failed(session_id, now)

    def has_failed(self, session_id: SessionId, now: timedelta) -> bool:
        """Whether this conversation, or the model, has failed not long ago."""
        failures = self._failures.get(session_id)
        if failures is not None and failures.is_recent(now):
            return True
        failed_at = self._model_failed_at
        return failed_at is not None and now - failed_at < _PAUSE

    def begin(self, session_id: SessionId) -> None:
        """Note that this conversation is being folded, or waits for it, until ``running`` ends."""
        self._begun[session_id] = None

    @contextmanager
    def running(self, session_id: SessionId) -> Iterator[None]:
        """Note that the conversation is being folded, as long as this is open."""
        self._begun[session_id] = asyncio.current_task()
        try:
            yield
        finally:
            self._begun.pop(session_id, None)

    def succeeded(self, session_id: SessionId) -> None:
        """Note that this conversation was folded."""
        self._failures.pop(session_id, None)

    def give_way(self, session_id: SessionId, now: timedelta) -> None:
        """Drop the fold of this conversation, if one is running, for ``_PAUSE``."""
        if (task := self._begun.get(session_id)) is not None:
            task.cancel()
            self._note(session_id, _Failures(1, now))

    def failed(self, session_id: SessionId, now: timedelta, error: Exception) -> None:
        """Note that folding this conversation has failed."""
        concerns_one = isinstance(error, ContentFiltered | ContextExceeded | ModelRejectedRequest)
        if isinstance(error, ModelError) and not concerns_one:
            self._model_failed_at = now
            return
        before = self._failures.get(session_id)
        self._note(session_id, _Failures(before.count + 1 if before else 1, now))

    def _note(self, session_id: SessionId, failures: _Failures) -> None:
        self._failures[session_id] = failures
        self._failures.move_to_end(session_id)
        if len(self._failures) > _MAX_FAILURES:
            self._failures.popitem(last=False)


@frozen(kw_only=True)
class FoldSummary:
    """Keeps the summary of a conversation up to date. Nothing is raised: a failure is logged."""

    store: ConversationStateStore
    assistant: Assistant
    budget: PromptBudget
    fit_prompt: FitPrompt
    write_summary: WriteSummary
    summaries: SummaryPolicy
    attempts: FoldAttempts
    policy: TurnPolicy
    lease: ProcessLease
    clock: Clock
    telemetry: Telemetry
    runner: TurnRunner

    def start(
        self,
        ref: ConversationRef,
        conversation: Conversation,
        payer: Payer,
        options: ReplyOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Begin to fold in the background, after the end of a turn, if it is time.

        ``conversation`` is the one stored at the end of the turn; ``payer`` and ``options`` are
        those of the turn.
        """
        if not self.summaries.enabled or not self._may_begin(ref.session_id):
            return
        if self._is_due(conversation, options):
            # It may have to wait, and each further turn would add another one that waits.
            self.attempts.begin(ref.session_id)
            self.runner.run_in_background(partial(self._fold, ref, conversation, payer, options))

    async def _fold(
        self, ref: ConversationRef, conversation: Conversation, payer: Payer, options: ReplyOptions
    ) -> None:
        """Fold until nothing is left to fold, or until something fails."""
        current: Conversation | None = conversation
        try:
            with self.attempts.running(ref.session_id):
                if self.attempts.has_failed(ref.session_id, self.clock.monotonic()):
                    # It had to wait, and the model has failed meanwhile.
                    return
                for _ in range(_MAX_ROUNDS):
                    if current is not None:
                        current = await self._fold_once(ref, current, payer, options)
        except ConversationNotFound:
            return
        except (DomainError, PortError, NoSummary) as error:
            self.attempts.failed(ref.session_id, self.clock.monotonic(), error)
            details = error.details if isinstance(error, ModelError) else FailureDetails()
            self.telemetry.emit(
                "summary.failed",
                session_id=ref.session_id,
                model=self.write_summary.model.name,
                error=error.code,
                host=details.host,
                status=details.status,
                provider_code=details.provider_code,
                reason=details.reason,
                parameter=details.parameter,
            )

    async def _fold_once(
        self, ref: ConversationRef, conversation: Conversation, payer: Payer, options: ReplyOptions
    ) -> Conversation | None:
        """The conversation with its next summary; None if none was stored.

        Raises:
            DomainError, PortError, NoSummary: the summary was not stored.
        """
        started_at = self.clock.monotonic()
        try:
            fold = self._next_fold(conversation, options)
        except OlderMessagesNeeded:
            conversation = await self.store.load(ref)
            fold = self._next_fold(conversation, options)
        claim = None if fold is None else await self._claim(ref, conversation, fold)
        if fold is None or claim is None:
            return None
        try:
            summary = await self.write_summary(fold, payer)
        except (PortError, NoSummary):
            with suppress(PortError, DomainError):
                await self._update(ref, lambda stored: released(stored, claim))
            raise
        stored = await self._update(ref, lambda it: with_summary(it, fold, claim, summary.text))
        if stored.summarized_until != fold.until:
            # A message that it covers has changed meanwhile, or is gone.
            return None
        self.attempts.succeeded(ref.session_id)
        self._report(ref, fold, summary, self.clock.monotonic() - started_at)
        return stored

    def _is_due(self, conversation: Conversation, options: ReplyOptions) -> bool:
        """Whether there may be something to fold; this does not make a prompt, which takes long."""
        try:
            return self._until(conversation, options) > conversation.summarized_until
        except OlderMessagesNeeded:
            return True

    def _next_fold(self, conversation: Conversation, options: ReplyOptions) -> Fold | None:
        """What to fold now; None if there is nothing.

        Raises:
            OlderMessagesNeeded: messages to fold are not loaded.
        """
        until = self._until(conversation, options)
        return next_fold(
            conversation, self.assistant, self.budget.current, until=until, at=self.clock.now()
        )

    def _until(self, conversation: Conversation, options: ReplyOptions) -> int:
        """Number of the first message that the model has to see itself.

        Raises:
            OlderMessagesNeeded: messages that the prompt needs are not loaded.
        """
        visible = self.fit_prompt.visible(conversation)
        system = self.assistant.system_prompt_for(conversation)
        until = step(visible, system, self.budget.current, options=options)
        return until or conversation.working_memory_from

    def _may_begin(self, session_id: SessionId) -> bool:
        return self.attempts.may_begin(session_id, self.clock.monotonic())

    async def _claim(
        self, ref: ConversationRef, conversation: Conversation, fold: Fold
    ) -> Folding | None:
        """This process's claim, once it is stored; None if another process has claimed the fold."""
        other = conversation.folding
        if other is not None and not self._is_void(other):
            return None
        claim = new_claim(fold, self.lease.process, self.clock.now())
        stored = await self.store.update(
            ref,
            lambda stored: claimed(stored, fold, claim, instead_of=other),
            base=conversation,
            last=WORKING_MEMORY,
        )
        return claim if stored.folding == claim else None

    def _is_void(self, claim: Folding) -> bool:
        if claim.process == self.lease.process:
            # This process is not folding this conversation, so an earlier attempt was cut off.
            return True
        has_ended = self.lease.has_ended(claim.process)
        return is_void(claim, self.clock.now(), has_ended=has_ended)

    async def _update(self, ref: ConversationRef, change: Change) -> Conversation:
        async def update() -> Conversation:
            return await self.store.update(ref, change, last=WORKING_MEMORY)

        return await retrying(update, self.clock, self.policy.save_timeout)

    def _report(
        self, ref: ConversationRef, fold: Fold, summary: Summary, duration: timedelta
    ) -> None:
        self.telemetry.emit(
            "summary.folded",
            session_id=ref.session_id,
            model=self.write_summary.model.name,
            messages=len(fold.messages),
            tokens=self.budget.current.rates.of_text(summary.text),
            input_tokens=summary.usage.input_tokens,
            output_tokens=summary.usage.output_tokens,
            seconds=round(duration.total_seconds(), 3),
        )
