"""Streams the model's reply to a conversation into a sink: a turn's log, or the open request."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from attrs import asdict, define, evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation
from domain.model.errors import DomainError
from domain.model.identifiers import ConversationRef
from domain.model.message import FinishReason, PromptReport, Usage, counted_bytes
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt, ReplyOptions
from domain.model.token_rates import TokenRates
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from domain.service.prompt_building import build_prompt, prompt_report, used_tokens
from entrypoints.usecases.fold_summary import FoldAttempts
from entrypoints.usecases.prepare_turn import PreparedTurn, PrepareTurn
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
        sent_at: when the first prompt was sent; None if none was.
        hook_time: how long the hook took; None if it has not answered, or if there is none.
    """

    rates: TokenRates
    writer: ReplyWriter
    prompt: Prompt | None = None
    report: PromptReport | None = None
    working_memory_from: int | None = None
    sent_at: timedelta | None = None
    hook_time: timedelta | None = None

    @property
    def reply_bytes(self) -> int:
        """Bytes of the reply so far."""
        return self.writer.reply_bytes

    def is_slow(self, now: timedelta) -> bool:
        """Whether the model takes long to begin."""
        if self.sent_at is None or self.reply_bytes:
            return False
        return now - self.sent_at >= _PATIENCE

    def tokens(self, reported: Usage | None) -> int:
        """The tokens used; a count that the model has not reported is estimated."""
        if self.prompt is None:
            return 0
        return used_tokens(self.prompt, self.reply_bytes, reported, self.rates)


@frozen(kw_only=True)
class ReplyDetails:
    """What the operator's log says about a reply, besides how it ended.

    Attributes:
        failure: why the model failed.
        hook_seconds: how long the hook took; None if there is none, or if it failed the turn.
    """

    failure: FailureDetails = FailureDetails()
    hook_seconds: float | None = None


@frozen(kw_only=True)
class StreamReply:
    """Streams one reply of the model and decides how it ended."""

    model: LanguageModel
    assistant: Assistant
    budget: PromptBudget
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
    ) -> tuple[TurnEnd, ReplyDetails]:
        """How the reply ended: finished, failed (with the error's code) or interrupted.

        It is interrupted when the sink closes or the process shuts down. It is truncated at
        ``MAX_REPLY_BYTES`` and then finishes with the reason ``length``. A failure of the model
        or of the store is not raised: it is returned as the end.

        Renews the turn's slot through ``permit``, and records there how many tokens were used.

        If the model does not begin, a summary that is being written for this conversation is
        dropped: the model's server may write only one text at a time.
        """
        writer = ReplyWriter(sink=sink, bytes_before=_bytes_before(conversation))
        progress = _Progress(self.budget.current.rates, writer)
        streaming = asyncio.create_task(self._stream(ref, conversation, options, progress))
        streaming.add_done_callback(lambda _: signals.wake())
        try:
            while not streaming.done():
                await signals.wait(self.policy.heartbeat)
                if streaming.done() or signals.shutting_down:
                    break
                now = self.clock.monotonic()
                if progress.is_slow(now):
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
        return end, _details_of(failure, progress)

    def report_end(
        self, end: TurnEnd, details: ReplyDetails, **fields: str | float | bool | None
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
            hook_seconds=details.hook_seconds,
            **asdict(details.failure, filter=lambda _, value: value is not None),
            **fields,
        )

    def report_crash(self, failure: BaseException) -> None:
        """Emit only the class of an unexpected error: its message may repeat what people wrote."""
        self.telemetry.emit("turn.crashed", kind=type(failure).__name__)

    async def _stream(
        self,
        ref: ConversationRef,
        conversation: Conversation,
        options: ReplyOptions,
        progress: _Progress,
    ) -> ModelFinished | None:
        """How the reply ended; None if the sink was closed before that.

        The model is not asked if the hook has written the reply.
        If the model refuses the prompt as too long, it is asked once more with a shorter one.
        """
        turn = await self.prepare_turn.prepare(ref, conversation, options)
        progress.hook_time = turn.hook_time
        if turn.preparation.reply is not None:
            return await _write_finished(progress.writer, turn)
        if turn.conversation.working_memory_from > conversation.working_memory_from:
            progress.working_memory_from = turn.conversation.working_memory_from
        progress.sent_at = self.clock.monotonic()
        try:
            return await self._attempt(turn, progress)
        except ContextExceeded as refusal:
            if progress.prompt is None or progress.reply_bytes:
                raise
            budget = await self.budget.after_refusal(progress.prompt, refusal)
            shorter = self.prepare_turn.shortened(turn, progress.prompt, budget)
            if shorter is None:
                raise
        progress.working_memory_from = shorter.conversation.working_memory_from
        return await self._attempt(shorter, progress)

    async def _attempt(self, turn: PreparedTurn, progress: _Progress) -> ModelFinished | None:
        system, visible = self.assistant.system_prompt, turn.conversation
        prompt = build_prompt(visible, system, turn.budget, options=turn.options)
        progress.prompt, progress.report = prompt, prompt_report(visible, prompt)
        progress.writer.opening = turn.opening
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


def _details_of(failure: BaseException | None, progress: _Progress) -> ReplyDetails:
    hook_time = progress.hook_time
    return ReplyDetails(
        failure=failure.details if isinstance(failure, ModelError) else FailureDetails(),
        hook_seconds=None if hook_time is None else round(hook_time.total_seconds(), 3),
    )


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
            await writer.open()
            return piece
        if not await writer.put(piece):
            return ModelFinished(reason=FinishReason.LENGTH) if writer.is_full else None
    return None


async def _write_finished(writer: ReplyWriter, turn: PreparedTurn) -> ModelFinished | None:
    """Write the reply of the hook; None if the sink was closed before that."""
    writer.opening = turn.opening
    if not await writer.put(TextPiece(turn.preparation.reply or "")) and not writer.is_full:
        return None
    return ModelFinished(reason=FinishReason.LENGTH if writer.is_full else FinishReason.STOP)
