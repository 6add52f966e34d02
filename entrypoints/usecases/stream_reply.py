"""Streams the model's reply to a conversation into a sink: a turn's log, or the open request."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from attrs import asdict, define, evolve, frozen

from domain.model.assistant import Assistant
from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import DomainError
from domain.model.identifiers import ConversationRef, Owner
from domain.model.message import FinishReason, PromptReport, Usage, counted_bytes
from domain.model.piece import ModelFinished, ModelPiece
from domain.model.prompt import Prompt, ReplyOptions
from domain.model.token_rates import TokenRates
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from domain.service.prompt_building import build_prompt, prompt_report, used_tokens
from entrypoints.usecases.fit_prompt import FitPrompt
from entrypoints.usecases.fold_summary import FoldAttempts
from entrypoints.usecases.prepare_turn import PrepareTurn
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.reply_writer import ReplySink, ReplyWriter
from entrypoints.usecases.turn_permit import TurnPermit
from ports.clock import Clock
from ports.errors import PortError
from ports.language_model import (
    ContextExceeded,
    FailureDetails,
    LanguageModel,
    ModelError,
    ModelRejectedRequest,
)
from ports.telemetry import Telemetry
from ports.turn_runner import Signals

_PATIENCE: Final = timedelta(seconds=5)
"""How long a reply may take to begin before the summary of its conversation is dropped."""


@define
class _Progress:
    """How far one reply has come, and what it was made from.

    Attributes:
        rates: how tokens are estimated.
        prompt, report: None while nothing was sent to the model.
        working_memory_from: see ``TurnEnd``.
        writer: what was written of the reply.
    """

    rates: TokenRates
    writer: ReplyWriter
    prompt: Prompt | None = None
    report: PromptReport | None = None
    working_memory_from: int | None = None

    @property
    def reply_bytes(self) -> int:
        """Bytes of the reply so far."""
        return self.writer.reply_bytes

    def tokens(self, reported: Usage | None) -> int:
        """The tokens used; a count that the model has not reported is estimated."""
        if self.prompt is None:
            return 0
        return used_tokens(self.prompt, self.reply_bytes, reported, self.rates)


@frozen(kw_only=True)
class StreamReply:
    """Streams one reply of the model and decides how it ended."""

    model: LanguageModel
    assistant: Assistant
    budget: PromptBudget
    fit_prompt: FitPrompt
    prepare_turn: PrepareTurn
    folds: FoldAttempts
    policy: TurnPolicy
    clock: Clock
    telemetry: Telemetry

    async def __call__(
        self,
        ref: ConversationRef,
        conversation: Conversation,
        options: ReplyOptions,
        sink: ReplySink,
        signals: Signals,
        *,
        permit: TurnPermit,
    ) -> tuple[TurnEnd, FailureDetails]:
        """How the reply ended: finished, failed (with the error's code) or interrupted.

        If the model failed, the details say more about it.

        It is interrupted when the sink closes or the process shuts down. It is truncated at
        ``MAX_REPLY_BYTES`` and then finishes with the reason ``length``. A failure of the model
        or of the store is not raised: it is returned as the end.

        Renews the turn's slot through ``permit``, and records there how many tokens were used.

        If the model does not begin, a summary that is being written for this conversation is
        dropped: the model's server may write only one text at a time.
        """
        started_at = self.clock.monotonic()
        writer = ReplyWriter(sink=sink, bytes_before=_bytes_before(conversation))
        progress = _Progress(self.budget.current.rates, writer)
        streaming = asyncio.create_task(self._stream(ref.owner, conversation, options, progress))
        streaming.add_done_callback(lambda _: signals.wake())
        try:
            while not streaming.done():
                await signals.wait(self.policy.heartbeat)
                if streaming.done() or signals.shutting_down:
                    break
                now = self.clock.monotonic()
                if now - started_at >= _PATIENCE and not progress.reply_bytes:
                    self.folds.give_way(conversation.id, now)
                await sink.keep_alive()
                await permit.keep()
                if sink.is_closed:
                    break
        finally:
            streaming.cancel()
            await asyncio.wait([streaming])
        failure = None if streaming.cancelled() else streaming.exception()
        finished = None if failure or streaming.cancelled() else streaming.result()
        if failure is None or progress.reply_bytes:
            # A model that failed before its first piece has used nothing.
            permit.tokens = progress.tokens(finished.usage if finished else None)
        end = evolve(self._end(finished, failure), prompt_report=_left_out(progress, finished))
        if finished or progress.reply_bytes:
            end = evolve(end, working_memory_from=progress.working_memory_from)
        return end, _details_of(failure)

    def report_end(
        self, end: TurnEnd, details: FailureDetails, **fields: str | float | bool | None
    ) -> None:
        """Emit how a turn ended, with the model's name, the usage, ``details`` and ``fields``.

        If messages were left out of the prompt, their counts are emitted too.
        """
        self.telemetry.emit(
            f"turn.{end.outcome.value}",
            model=self.model.name,
            error=end.error,
            finish_reason=end.finish_reason.value if end.finish_reason else None,
            input_tokens=end.usage.input_tokens if end.usage else None,
            output_tokens=end.usage.output_tokens if end.usage else None,
            **_counts(end.prompt_report),
            **asdict(details, filter=lambda _, value: value is not None),
            **fields,
        )

    def report_crash(self, failure: BaseException) -> None:
        """Emit only the class of an unexpected error: its message may repeat what people wrote."""
        self.telemetry.emit("turn.crashed", kind=type(failure).__name__)

    async def _stream(
        self,
        owner: Owner,
        conversation: Conversation,
        options: ReplyOptions,
        progress: _Progress,
    ) -> ModelFinished | None:
        """How the reply ended; None if the sink was closed before that.

        If the model refuses the prompt as too long, it is asked once more with a shorter one.
        """
        await self.prepare_turn(owner, conversation)
        visible, budget = self.fit_prompt.visible(conversation), self.budget.current
        try:
            return await self._attempt(visible, budget, options, progress)
        except ContextExceeded as refusal:
            if progress.prompt is None or progress.reply_bytes:
                raise
            budget = await self.budget.after_refusal(progress.prompt, refusal)
            shorter = self.fit_prompt.shortened(visible, progress.prompt, budget, options)
            if shorter is None:
                raise
        progress.working_memory_from = shorter.working_memory_from
        return await self._attempt(shorter, budget, options, progress)

    async def _attempt(
        self,
        visible: Conversation,
        budget: Budget,
        options: ReplyOptions,
        progress: _Progress,
    ) -> ModelFinished | None:
        system = self.assistant.system_prompt_for(visible)
        prompt = build_prompt(visible, system, budget, options=options)
        progress.prompt, progress.report = prompt, prompt_report(visible, prompt)
        async with aclosing(self.model.reply(prompt)) as reply:
            finished = await _write_all(progress.writer, reply)
        if finished is not None:
            self.budget.learn(prompt, finished.usage)
        return finished

    def _end(self, finished: ModelFinished | None, failure: BaseException | None) -> TurnEnd:
        error = None
        if isinstance(failure, DomainError | PortError):
            error = failure.code
        elif failure is not None:
            self.report_crash(failure)
            error = "internal_error"
        if finished is not None:
            reason, usage = finished.reason, finished.usage
            return TurnEnd(outcome=Outcome.FINISHED, finish_reason=reason, usage=usage)
        if error is not None:
            option = failure.option if isinstance(failure, ModelRejectedRequest) else None
            return TurnEnd(outcome=Outcome.FAILED, error=error, rejected_option=option)
        return TurnEnd(outcome=Outcome.INTERRUPTED)


def _bytes_before(conversation: Conversation) -> int:
    """Bytes of the reply that the open turn continues from where it was cut; else 0."""
    last = conversation.messages[-1] if conversation.continues_cut_reply else None
    return 0 if last is None else counted_bytes(last.parts)


def _details_of(failure: BaseException | None) -> FailureDetails:
    return failure.details if isinstance(failure, ModelError) else FailureDetails()


def _left_out(progress: _Progress, finished: ModelFinished | None) -> PromptReport | None:
    report = progress.report
    if report is not None and finished is not None:
        report = evolve(report, dropped_options=finished.dropped_options)
    return None if report is None or report.is_complete else report


def _counts(report: PromptReport | None) -> dict[str, int]:
    """What to emit about the messages that were left out; empty if none were."""
    if report is None or report.sees_all:
        return {}
    return {"messages_seen": report.messages_seen, "messages_total": report.messages_total}


async def _write_all(
    writer: ReplyWriter, reply: AsyncGenerator[ModelPiece | ModelFinished, None]
) -> ModelFinished | None:
    """How the model ended the reply; None if the sink was closed before that."""
    async for piece in reply:
        if isinstance(piece, ModelFinished):
            return piece
        if not await writer.put(piece):
            return ModelFinished(reason=FinishReason.LENGTH) if writer.is_full else None
    return None
