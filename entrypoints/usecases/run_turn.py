"""Making the reply of an open turn: ask the model, log its pieces, store what it said.

Logging a reply while it is made, and storing it once it has ended.

A turn while its reply is being made.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Final

from attrs import define, evolve, field, frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, DomainError, TurnSuperseded
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from domain.model.limits import MAX_REPLY_BYTES
from domain.model.message import FinishReason
from domain.model.piece import ModelFinished, NumberedPiece, Piece, counted_bytes, size_in_bytes
from domain.model.prompt import DEFAULT_OPTIONS, Prompt, ReplyOptions
from domain.model.turn import Outcome, Turn, TurnEnd, TurnPolicy
from domain.service.prompt_building import Budget, build_prompt_with_options, sees_all
from domain.service.turn_lifecycle import fail, finish, interrupt
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import ConversationBusy, PortError, StoreUnavailable
from ports.language_model import LanguageModel
from ports.telemetry import Telemetry
from ports.turn_log import AppendResult, TurnLog
from ports.turn_runner import Signals


@define(kw_only=True)
class RunningTurn:
    """One open turn, and what came from the model so far.

    Attributes:
        conversation: as it was when the turn was opened.
        options: what its caller wishes for the reply.
        counted_bytes: of the pieces together, in bytes.
        logged_count: how many of the pieces the log has taken.
        writing: what the log answered last.
        finished: the model's last word, absent until it came.
        error: stable code of a failure, absent without one.
    """

    owner: Owner = field(repr=False)
    conversation: Conversation = field(repr=False)
    turn: Turn
    options: ReplyOptions = field(default=DEFAULT_OPTIONS, repr=False)
    numbered: list[NumberedPiece] = field(factory=list, repr=False)
    counted_bytes: int = 0
    logged_count: int = 0
    writing: AppendResult = AppendResult.CONTINUE
    finished: ModelFinished | None = None
    error: str | None = None

    @property
    def pieces(self) -> list[Piece]:
        """The pieces without their numbers."""
        return [numbered.piece for numbered in self.numbered]

    def has_room_for(self, piece: Piece) -> bool:
        """Whether the reply may grow by it."""
        return self.counted_bytes + counted_bytes(piece) <= MAX_REPLY_BYTES

    def hear(self, piece: Piece) -> None:
        """Take one more piece."""
        self.counted_bytes += counted_bytes(piece)
        self.numbered.append(NumberedPiece(len(self.numbered) + 1, piece))


_RETRY_PAUSE: Final = timedelta(milliseconds=500)


@frozen(kw_only=True)
class SaveReply:
    """Keeps what a running turn has heard."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def log_pending(self, run: RunningTurn) -> None:
        """Log what is not logged yet; without any, a sign of life. A log that is away can wait."""
        count = len(run.numbered)
        unsent = run.numbered[run.logged_count : count]
        with suppress(PortError):
            run.writing = await self._written(run, unsent)
            run.logged_count = max(run.logged_count, count)

    async def _written(self, run: RunningTurn, unsent: Sequence[NumberedPiece]) -> AppendResult:
        session_id = run.conversation.id
        writing = await self.log.append(ConversationRef(run.owner, session_id), run.turn, unsent)
        if writing is not AppendResult.GONE:
            return writing
        # A log may be lost by itself; gone for good it is only with its conversation.
        if not await self.store.ensure_log(
            TurnRef(ConversationRef(run.owner, session_id), run.turn.id)
        ):
            return writing
        return await self.log.append(
            ConversationRef(run.owner, session_id), run.turn, list(run.numbered)
        )

    async def __call__(self, run: RunningTurn) -> TurnEnd:
        """Store the outcome, for a while also against a store that is away; how the turn ended.

        Whatever the store says becomes that end.
        """
        change, end = _outcome(run, self.clock.now())
        base: Conversation | None = run.conversation
        deadline = self.clock.monotonic() + self.policy.save_timeout
        while True:
            try:
                stored = await self.store.update(
                    ConversationRef(run.owner, run.conversation.id), change, base=base
                )
            except ConversationNotFound:
                return TurnEnd(outcome=Outcome.GONE, error="conversation_gone")
            except TurnSuperseded:
                return TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded")
            except (StoreUnavailable, ConversationBusy):
                if self.clock.monotonic() >= deadline:
                    return TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")
            except (PortError, DomainError):
                return TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")
            else:
                return evolve(end, expires_at=stored.expires_at)
            base = None
            await self.clock.sleep(_RETRY_PAUSE)
            await self.log_pending(run)

    async def close_log(self, run: RunningTurn, end: TurnEnd) -> None:
        """Close the log; one that is away closes by itself, and the reply is safe already."""
        with suppress(PortError):
            await self.log.end(ConversationRef(run.owner, run.conversation.id), run.turn, end)


def _outcome(run: RunningTurn, at: datetime) -> tuple[Change, TurnEnd]:
    turn_id, said, last, error = run.turn.id, run.pieces, run.finished, run.error
    if last is not None:
        end = TurnEnd(outcome=Outcome.FINISHED, finish_reason=last.reason, usage=last.usage)
        return (
            lambda known: finish(known, turn_id, said, at, reason=last.reason, usage=last.usage),
            end,
        )
    if error is not None:
        end = TurnEnd(outcome=Outcome.FAILED, error=error)
        return lambda known: fail(known, turn_id, said, at, error), end
    end = TurnEnd(outcome=Outcome.INTERRUPTED)
    return lambda known: interrupt(known, turn_id, said, at), end


@frozen(kw_only=True)
class RunTurn:
    """Runs one turn to its end. It belongs to the turn runner, never to a request."""

    store: ConversationStateStore
    save_reply: SaveReply
    model: LanguageModel
    profile: AssistantProfile
    budget: Budget
    clock: Clock
    policy: TurnPolicy
    telemetry: Telemetry

    async def __call__(
        self,
        owner: Owner,
        conversation: Conversation,
        signals: Signals,
        options: ReplyOptions = DEFAULT_OPTIONS,
    ) -> int:
        """Make, store and announce the reply to the open turn; how many bytes of text it has.

        Saved first, announced then: whoever sees the end finds the reply in the history. Whatever
        fails becomes the turn's end; nothing is raised.
        """
        if conversation.open_turn is None:
            return 0
        began = self.clock.monotonic()
        turn = conversation.open_turn
        run = RunningTurn(owner=owner, conversation=conversation, turn=turn, options=options)
        try:
            await self._listen(run, signals)
            end = await self.save_reply(run)
        except Exception as error:  # noqa: BLE001 - those who follow are told, whatever it was
            self._crashed(error)
            end = TurnEnd(outcome=Outcome.NOT_SAVED, error="internal_error")
        await self.save_reply.close_log(run, end)
        self._note(run, end, self.clock.monotonic() - began)
        return sum(map(size_in_bytes, run.pieces))

    async def _listen(self, run: RunningTurn, signals: Signals) -> None:
        """Stream the model into the log until it ends, fails, or the turn has to end."""
        speaking = asyncio.create_task(self._speak(run))
        speaking.add_done_callback(lambda _: signals.wake())
        try:
            while not speaking.done():
                await signals.wait(self.policy.heartbeat)
                if speaking.done() or signals.shutting_down:
                    break
                await self.save_reply.log_pending(run)
                if run.writing is not AppendResult.CONTINUE:
                    break
        finally:
            speaking.cancel()
            await asyncio.wait([speaking])
        self._judge(run, speaking)

    async def _speak(self, run: RunningTurn) -> None:
        prompt = await self._prompt(run)
        async with aclosing(self.model.reply(prompt)) as reply:
            async for said in reply:
                if isinstance(said, ModelFinished):
                    run.finished = said
                    return
                if not run.has_room_for(said):
                    run.finished = ModelFinished(reason=FinishReason.LENGTH)
                    return
                run.hear(said)
                await self.save_reply.log_pending(run)
                if run.writing is not AppendResult.CONTINUE:
                    return

    async def _prompt(self, run: RunningTurn) -> Prompt:
        system, known = self.profile.assistant().system_prompt, run.conversation
        prompt = build_prompt_with_options(known, system, self.budget, run.options)
        if not known.earlier or not sees_all(known, prompt):
            return prompt
        # The budget holds more than was at hand.
        whole = await self.store.load(ConversationRef(run.owner, known.id))
        return build_prompt_with_options(whole, system, self.budget, run.options)

    def _judge(self, run: RunningTurn, speaking: asyncio.Task[None]) -> None:
        if speaking.cancelled() or (failure := speaking.exception()) is None:
            return
        if isinstance(failure, DomainError | PortError):
            run.error = failure.code
        else:
            run.error = "internal_error"
            self._crashed(failure)

    def _crashed(self, failure: BaseException) -> None:
        self.telemetry.emit("turn.crashed", kind=type(failure).__name__)

    def _note(self, run: RunningTurn, end: TurnEnd, took: timedelta) -> None:
        usage = end.usage
        self.telemetry.emit(
            f"turn.{end.outcome.value}",
            session_id=run.conversation.id,
            turn=run.turn.number,
            model=self.model.name,
            pieces=len(run.numbered),
            error=end.error,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            seconds=round(took.total_seconds(), 3),
        )
