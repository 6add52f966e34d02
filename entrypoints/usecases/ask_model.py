"""Asks the model for one reply: once, and again after each step in which it calls our tools.

    step 1   the model writes text and calls; we run the calls that are ours and write their results
    step 2   the model sees these results and writes more; and so on
    end      a step without calls, or with calls that the client has to run

The reply also ends if it reaches the limit of steps or of bytes. If the model refuses a prompt,
only the model is asked again, so no tool is run twice.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from attrs import define, evolve, field, frozen

from domain.model.assistant import Assistant
from domain.model.limits import MAX_STEP_CALLS
from domain.model.message import FinishReason, PromptReport, ToolCallPart, Usage
from domain.model.piece import (
    ModelFinished,
    ModelPiece,
    ToolCallPiece,
    assemble_parts,
)
from domain.model.prompt import Prompt
from domain.model.token_rates import TokenRates
from domain.service.cut_replies import total_usage
from domain.service.prompt_building import build_prompt, prompt_report, used_tokens
from domain.service.tool_outputs import OutputLimit, output_limit
from domain.service.turn_lifecycle import with_reply_so_far
from entrypoints.usecases.offered_tools import Offer
from entrypoints.usecases.prepare_turn import PreparedTurn, PrepareTurn
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.reply_writer import ReplyWriter
from entrypoints.usecases.run_tools import CUT_OFF, NO_MORE_CALLS, RunTools
from ports.clock import Clock
from ports.language_model import ContextExceeded, LanguageModel

_PATIENCE: Final = timedelta(seconds=5)
"""How long a reply may take to begin before the summary of its conversation is dropped."""

_RUNS_CALLS: Final = frozenset({FinishReason.TOOL_CALLS, FinishReason.STOP, FinishReason.OTHER})
"""Some servers report another reason than ``TOOL_CALLS`` after whole calls."""


@define
class Progress:
    """How far one reply has come, and what it was made from.

    Attributes:
        rates: how tokens are estimated.
        writer: what was written of the reply.
        prompt: the prompt of the current step; None until it is sent.
        report: what was left out of the newest prompt; None until one is sent.
        working_memory_from: number of the first message in the newest prompt.
        sent_at: when the first prompt was sent; None if none was.
        hook_time: how long the hook took; None if it has not answered, or if there is none.
        steps: how many times the model was asked, apart from refused prompts.
        calls: how many calls we have run.
        usage: the tokens of all steps that have ended.
        dropped_options: see ``PromptReport``.
        calls_tools: whether the model has called a tool that we run.
    """

    rates: TokenRates
    writer: ReplyWriter
    prompt: Prompt | None = None
    report: PromptReport | None = None
    working_memory_from: int | None = None
    sent_at: timedelta | None = None
    hook_time: timedelta | None = None
    steps: int = 0
    calls: int = 0
    usage: Usage | None = None
    dropped_options: tuple[str, ...] = ()
    calls_tools: bool = False
    _tokens: int = field(default=0, init=False)
    _pieces_before: int = field(default=0, init=False)
    _bytes_before: int = field(default=0, init=False)

    @property
    def step_bytes(self) -> int:
        """Bytes that the model has written in the current step."""
        return self.writer.reply_bytes - self._bytes_before

    def is_slow(self, now: timedelta) -> bool:
        """Whether the model takes long to begin."""
        if self.sent_at is None or self.writer.reply_bytes:
            return False
        return now - self.sent_at >= _PATIENCE

    def send(self, turn: PreparedTurn, prompt: Prompt) -> None:
        """Called before a prompt is sent."""
        conversation = turn.conversation
        self.prompt, self.report = prompt, prompt_report(conversation, prompt)
        self.working_memory_from = conversation.working_memory_from
        if self.steps > 1 and not (conversation.turn and conversation.turn.continues):
            # The reply so far is not a message that the conversation has.
            seen, total = self.report.messages_seen, self.report.messages_total
            self.report = evolve(self.report, messages_seen=seen - 1, messages_total=total - 1)
        if self.steps == 1:
            self.writer.opening = turn.opening

    def begin_step(self) -> None:
        """Called before the model is asked."""
        self.steps += 1
        self._pieces_before = len(self.writer.pieces)
        self._bytes_before = self.writer.reply_bytes

    def end_step(self, finished: ModelFinished) -> Sequence[ToolCallPart]:
        """Called when the model has finished; returns its calls that we have to answer."""
        usage = finished.usage
        self.usage = usage if self.steps == 1 else total_usage(self.usage, usage)
        self._tokens, self.prompt = self.tokens(usage), None
        self.dropped_options = tuple(
            {**dict.fromkeys(self.dropped_options), **dict.fromkeys(finished.dropped_options)}
        )
        if not self.calls_tools:
            return ()
        parts = assemble_parts(self.writer.pieces[self._pieces_before :])
        calls = [part for part in parts if isinstance(part, ToolCallPart)]
        return [call for call in calls if call.server is not None]

    @property
    def waits_for_client(self) -> bool:
        """Whether the model called client tools in the step that has ended."""
        step = self.writer.pieces[self._pieces_before :]
        return any(isinstance(piece, ToolCallPiece) and piece.server is None for piece in step)

    def end(self, finished: ModelFinished) -> ModelFinished:
        """How the reply ended, if its last step ended with ``finished``."""
        return evolve(finished, usage=self.usage, dropped_options=self.dropped_options)

    def tokens_until(self, failure: BaseException | None) -> int:
        """The tokens used when the reply has ended; a step that failed at once has used none."""
        return self._tokens if failure and not self.step_bytes else self.tokens()

    def tokens(self, reported: Usage | None = None) -> int:
        """The tokens used; a count that the model has not reported is estimated."""
        if self.prompt is None:
            return self._tokens
        return self._tokens + used_tokens(self.prompt, self.step_bytes, reported, self.rates)


@frozen(kw_only=True)
class AskModel:
    """Asks the model, runs the tools that it calls, and asks it again."""

    model: LanguageModel
    assistant: Assistant
    budget: PromptBudget
    prepare_turn: PrepareTurn
    run_tools: RunTools
    clock: Clock

    async def __call__(self, first: PreparedTurn, progress: Progress) -> ModelFinished | None:
        """How the reply ended; None if the sink was closed before that.

        Raises:
            ModelError: the model failed.
        """
        progress.sent_at, turn = self.clock.monotonic(), first
        while True:
            progress.begin_step()
            chosen = self._with_tool_choice(turn, first, progress)
            turn, finished = await self._ask(chosen, progress)
            if finished is None:
                return None
            ours = progress.end_step(finished)
            if not ours:
                return progress.end(finished)
            so_far = with_reply_so_far(first.conversation, progress.writer.pieces)
            limit = self._output_limit(evolve(turn, conversation=so_far), len(ours), progress)
            goes_on = await self._answer(ours, finished.reason, turn, limit, progress)
            if progress.writer.is_full:
                return progress.end(ModelFinished(reason=FinishReason.LENGTH))
            if progress.writer.is_closed:
                return None
            if progress.waits_for_client:
                return progress.end(finished)
            if not goes_on:
                return progress.end(_without_calls(finished))
            turn = self.prepare_turn.after_step(first, turn, progress.writer.pieces)
            progress.writer.begin_step()

    def _with_tool_choice(
        self, turn: PreparedTurn, first: PreparedTurn, progress: Progress
    ) -> PreparedTurn:
        """The turn with the choice of tools for its next step.

        The caller's choice applies only to the first step. A model that has to call a tool in every
        step would never end.
        """
        choice = first.options.tool_choice
        if turn.offer.ours and not self._calls_left(turn, progress):
            choice = "none"
        elif progress.steps > 1 and choice != "none":
            choice = None
        if choice == turn.options.tool_choice:
            return turn
        return evolve(turn, options=evolve(turn.options, tool_choice=choice))

    def _calls_left(self, turn: PreparedTurn, progress: Progress) -> int:
        """How many calls of our tools may be run in the current step."""
        if progress.steps >= self.assistant.tools.max_steps:
            return 0
        of_reply = turn.options.max_tool_calls
        if of_reply is None:
            return MAX_STEP_CALLS
        return min(MAX_STEP_CALLS, max(of_reply - progress.calls, 0))

    async def _ask(
        self, turn: PreparedTurn, progress: Progress
    ) -> tuple[PreparedTurn, ModelFinished | None]:
        """How the model ended this step; None if the sink was closed before that.

        If the model refuses the prompt as too long, it is asked once more with a shorter one. The
        turn is returned as it was sent.
        """
        try:
            return turn, await self._attempt(turn, progress)
        except ContextExceeded as refusal:
            if progress.prompt is None or progress.step_bytes:
                raise
            budget = await self.budget.after_refusal(progress.prompt, refusal)
            shorter = self.prepare_turn.shortened(turn, progress.prompt, budget)
            if shorter is None:
                raise
        return shorter, await self._attempt(shorter, progress)

    async def _attempt(self, turn: PreparedTurn, progress: Progress) -> ModelFinished | None:
        visible, system = turn.conversation, self.assistant.system_prompt_for(turn.conversation)
        prompt = build_prompt(visible, system, turn.budget, options=turn.options)
        progress.send(turn, prompt)
        async with aclosing(self.model.reply(prompt)) as reply:
            finished = await _write_all(progress, reply, turn.offer)
        if finished is not None:
            self.budget.learn(prompt, finished.usage)
        return finished

    async def _answer(
        self,
        ours: Sequence[ToolCallPart],
        reason: FinishReason,
        turn: PreparedTurn,
        limit: OutputLimit,
        progress: Progress,
    ) -> bool:
        """Write a result for each of these calls; False if none of them was run."""
        is_cut = reason not in _RUNS_CALLS
        at_most = 0 if is_cut else self._calls_left(turn, progress)
        progress.calls += min(at_most, len(ours))
        return await self.run_tools(
            ours,
            turn.offer,
            limit,
            progress.writer,
            at_most=at_most,
            refusal=CUT_OFF if is_cut else NO_MORE_CALLS,
        )

    def _output_limit(self, turn: PreparedTurn, calls: int, progress: Progress) -> OutputLimit:
        return output_limit(
            turn.conversation,
            self.assistant.system_prompt_for(turn.conversation),
            turn.budget,
            turn.options,
            calls=calls,
            bytes_left=progress.writer.bytes_left,
        )


def _without_calls(finished: ModelFinished) -> ModelFinished:
    """The end of a reply whose last calls were not run. The client does not have to answer them."""
    is_waiting = finished.reason is FinishReason.TOOL_CALLS
    return evolve(finished, reason=FinishReason.OTHER) if is_waiting else finished


async def _write_all(
    progress: Progress,
    reply: AsyncGenerator[ModelPiece | ModelFinished, None],
    offer: Offer,
) -> ModelFinished | None:
    """How the model ended this step; None if the sink was closed before that."""
    writer = progress.writer
    async for piece in reply:
        if isinstance(piece, ModelFinished):
            await writer.open()
            return piece
        if isinstance(piece, ToolCallPiece):
            server = offer.server_of(piece.name)
            progress.calls_tools = progress.calls_tools or server is not None
            piece = evolve(piece, server=server)  # noqa: PLW2901 - the same call
        if not await writer.put(piece):
            return ModelFinished(reason=FinishReason.LENGTH) if writer.is_full else None
    return None
