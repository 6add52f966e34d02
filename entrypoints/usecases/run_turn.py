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
from domain.model.identifiers import Owner
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
from ports.turn_log import TurnLog, Writing
from ports.turn_runner import Signals


@define(kw_only=True)
class RunningTurn:
    """One open turn, and what came from the model so far.

    Attributes:
        conversation: as it was when the turn was opened.
        options: what its caller wishes for the reply.
        counted_bytes: of the pieces together, in bytes.
        logged: how many of the pieces the log has taken.
        writing: what the log answered last.
        finished: the model's last word, absent until it came.
        error: stable code of a failure, absent without one.
    """

    owner: Owner = field(repr=False)
    conversation: Conversation = field(repr=False)
    turn: Turn
    options: ReplyOptions = field(default=DEFAULT_OPTIONS, repr=False)
    pieces: list[NumberedPiece] = field(factory=list, repr=False)
    counted_bytes: int = 0
    logged: int = 0
    writing: Writing = Writing.GO_ON
    finished: ModelFinished | None = None
    error: str | None = None

    @property
    def said(self) -> list[Piece]:
        """The pieces without their numbers."""
        return [numbered.piece for numbered in self.pieces]

    def has_room_for(self, piece: Piece) -> bool:
        """Whether the reply may grow by it."""
        return self.counted_bytes + counted_bytes(piece) <= MAX_REPLY_BYTES

    def hear(self, piece: Piece) -> None:
        """Take one more piece."""
        self.counted_bytes += counted_bytes(piece)
        self.pieces.append(NumberedPiece(len(self.pieces) + 1, piece))


_RETRY_PAUSE: Final = timedelta(milliseconds=500)


@frozen(kw_only=True)
class SaveReply:
    """Keeps what a running turn has heard."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def logged(self, run: RunningTurn) -> None:
        """Log what is not logged yet; without any, a sign of life. A log that is away can wait."""
        count = len(run.pieces)
        unsent = run.pieces[run.logged : count]
        with suppress(PortError):
            run.writing = await self._written(run, unsent)
            run.logged = max(run.logged, count)

    async def _written(self, run: RunningTurn, unsent: Sequence[NumberedPiece]) -> Writing:
        session_id = run.conversation.id
        writing = await self.log.append(run.owner, session_id, run.turn, unsent)
        if writing is not Writing.GONE:
            return writing
        # A log may be lost by itself; gone for good it is only with its conversation.
        if not await self.store.reopen_log(run.owner, session_id, run.turn.id):
            return writing
        return await self.log.append(run.owner, session_id, run.turn, list(run.pieces))

    async def __call__(self, run: RunningTurn) -> TurnEnd:
        """Store the outcome, for a while also against a store that is away; how the turn ended.

        Whatever the store says becomes that end.
        """
        change, end = _outcome(run, self.clock.now())
        base: Conversation | None = run.conversation
        deadline = self.clock.monotonic() + self.policy.save_timeout
        while True:
            try:
                stored = await self.store.update(run.owner, run.conversation.id, change, base=base)
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
            await self.logged(run)

    async def announced(self, run: RunningTurn, end: TurnEnd) -> None:
        """Close the log; one that is away closes by itself, and the reply is safe already."""
        with suppress(PortError):
            await self.log.end(run.owner, run.conversation.id, run.turn, end)


def _outcome(run: RunningTurn, at: datetime) -> tuple[Change, TurnEnd]:
    turn_id, said, last, error = run.turn.id, run.said, run.finished, run.error
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
class MakeReply:
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
        await self.save_reply.announced(run, end)
        self._note(run, end, self.clock.monotonic() - began)
        return sum(map(size_in_bytes, run.said))

    async def _listen(self, run: RunningTurn, signals: Signals) -> None:
        """Stream the model into the log until it ends, fails, or the turn has to end."""
        speaking = asyncio.create_task(self._speak(run))
        speaking.add_done_callback(lambda _: signals.nudge())
        try:
            while not speaking.done():
                await signals.wait(self.policy.heartbeat)
                if speaking.done() or signals.must_end:
                    break
                await self.save_reply.logged(run)
                if run.writing is not Writing.GO_ON:
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
                await self.save_reply.logged(run)
                if run.writing is not Writing.GO_ON:
                    return

    async def _prompt(self, run: RunningTurn) -> Prompt:
        system, known = self.profile.assistant().system_prompt, run.conversation
        prompt = build_prompt_with_options(known, system, self.budget, run.options)
        if not known.earlier or not sees_all(known, prompt):
            return prompt
        # The budget holds more than was at hand.
        whole = await self.store.load(run.owner, known.id)
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
        self.telemetry.note("turn.crashed", kind=type(failure).__name__)

    def _note(self, run: RunningTurn, end: TurnEnd, took: timedelta) -> None:
        usage = end.usage
        self.telemetry.note(
            f"turn.{end.outcome.value}",
            session_id=run.conversation.id,
            turn=run.turn.number,
            model=self.model.name,
            pieces=len(run.pieces),
            error=end.error,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            seconds=round(took.total_seconds(), 3),
        )
