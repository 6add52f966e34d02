"""Streams the model's reply to a conversation into a sink: a turn's log, or the open request."""

import asyncio

from attrs import asdict, evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation
from domain.model.errors import DomainError
from domain.model.identifiers import ConversationRef
from domain.model.message import FinishReason, PromptReport, counted_bytes
from domain.model.piece import ModelFinished, TextPiece
from domain.model.prompt import ReplyOptions
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from entrypoints.usecases.ask_model import AskModel, Progress
from entrypoints.usecases.fold_summary import FoldAttempts
from entrypoints.usecases.prepare_turn import PreparedTurn, PrepareTurn
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.reply_writer import ReplySink, ReplyWriter
from entrypoints.usecases.turn_permit import TurnPermit
from ports.clock import Clock
from ports.errors import PortError
from ports.language_model import (
    FailureDetails,
    LanguageModel,
    ModelError,
    ModelRejectedRequest,
)
from ports.telemetry import Telemetry
from ports.turn_runner import Signals


@frozen(kw_only=True)
class ReplyDetails:
    """What the operator's log says about a reply, besides how it ended.

    Attributes:
        failure: why the model failed.
        hook_seconds: how long the hook took; None if there is none, or if it failed the turn.
        steps: how many times the model was asked; None for once.
    """

    failure: FailureDetails = FailureDetails()
    hook_seconds: float | None = None
    steps: int | None = None


@frozen(kw_only=True)
class StreamReply:
    """Streams one reply of the model and decides how it ended."""

    model: LanguageModel
    assistant: Assistant
    budget: PromptBudget
    prepare_turn: PrepareTurn
    ask_model: AskModel
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
        progress = Progress(self.budget.current.rates, writer)
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
        if progress.calls_tools:
            await writer.close_calls()
        permit.tokens = progress.tokens_until(failure)
        end = evolve(self._end(finished, failure), prompt_report=_left_out(progress, finished))
        first_seen = progress.working_memory_from or 1
        if first_seen > conversation.working_memory_from and (finished or writer.reply_bytes):
            end = evolve(end, working_memory_from=first_seen)
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
            steps=details.steps,
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
        progress: Progress,
    ) -> ModelFinished | None:
        """How the reply ended; None if the sink was closed before that.

        The model is not asked if the hook has written the reply.
        """
        turn = await self.prepare_turn.prepare(ref, conversation, options)
        progress.hook_time = turn.hook_time
        if turn.preparation.reply is not None:
            return await _write_finished(progress.writer, turn)
        return await self.ask_model(turn, progress)

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


def _details_of(failure: BaseException | None, progress: Progress) -> ReplyDetails:
    hook_time = progress.hook_time
    return ReplyDetails(
        failure=failure.details if isinstance(failure, ModelError) else FailureDetails(),
        hook_seconds=None if hook_time is None else round(hook_time.total_seconds(), 3),
        steps=progress.steps if progress.steps > 1 else None,
    )


def _left_out(progress: Progress, finished: ModelFinished | None) -> PromptReport | None:
    report = progress.report
    if report is not None and finished is not None:
        report = evolve(report, dropped_options=finished.dropped_options)
    return None if report is None or report.is_complete else report


def _counts(report: PromptReport | None) -> dict[str, int]:
    """What to emit about the messages that were left out; empty if none were."""
    if report is None or report.sees_all:
        return {}
    return {"messages_seen": report.messages_seen, "messages_total": report.messages_total}


async def _write_finished(writer: ReplyWriter, turn: PreparedTurn) -> ModelFinished | None:
    """Write the reply of the hook; None if the sink was closed before that."""
    writer.opening = turn.opening
    if not await writer.put(TextPiece(turn.preparation.reply or "")) and not writer.is_full:
        return None
    return ModelFinished(reason=FinishReason.LENGTH if writer.is_full else FinishReason.STOP)
