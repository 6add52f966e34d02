"""Making the reply of an open turn: ask the model, log its pieces, store what it said."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Final

from attrs import Factory, define, evolve, frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, DomainError, TurnSuperseded
from domain.model.identifiers import Owner
from domain.model.piece import ModelFinished, NumberedPiece, Piece, size_in_bytes
from domain.model.prompt import Prompt
from domain.model.turn import Outcome, Turn, TurnEnd
from domain.model.turn_policy import TurnPolicy
from domain.service.prompt_building import Budget, build_prompt
from domain.service.turn_ending import fail, finish, interrupt
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import ConversationBusy, PortError, StoreUnavailable
from ports.language_model import LanguageModel
from ports.telemetry import Telemetry
from ports.turn_log import TurnLog, Writing
from ports.turn_runner import Signals

_RETRY_PAUSE: Final = timedelta(milliseconds=500)


@define
class _Heard:
    """What came from the model so far.

    Attributes:
        logged: how many of the pieces the log has taken.
        writing: what the log answered last.
        finished: the model's last word, absent until it came.
        error: stable code of a failure, absent without one.
    """

    pieces: list[NumberedPiece] = Factory(list)
    logged: int = 0
    writing: Writing = Writing.GO_ON
    finished: ModelFinished | None = None
    error: str | None = None

    @property
    def plain(self) -> list[Piece]:
        return [numbered.piece for numbered in self.pieces]


@frozen(kw_only=True)
class MakeReply:
    """Runs one turn to its end. It belongs to the turn runner, never to a request."""

    store: ConversationStateStore
    log: TurnLog
    model: LanguageModel
    profile: AssistantProfile
    budget: Budget
    clock: Clock
    policy: TurnPolicy
    telemetry: Telemetry

    async def __call__(self, owner: Owner, conversation: Conversation, signals: Signals) -> int:
        """Make, store and announce the reply to the open turn; how many bytes of text it has.

        Saved first, announced then: whoever sees the end finds the reply in the history. Whatever
        fails becomes the turn's end; nothing is raised.
        """
        turn = conversation.open_turn
        if turn is None:
            return 0
        began = self.clock.monotonic()
        heard = _Heard()
        await self._listen(owner, conversation, turn, heard, signals)
        end = await self._saved(owner, conversation, turn, heard)
        with suppress(StoreUnavailable):
            await self.log.end(owner, conversation.id, turn, end)
        self._note(conversation, turn, heard, end, self.clock.monotonic() - began)
        return sum(map(size_in_bytes, heard.plain))

    async def _listen(
        self,
        owner: Owner,
        conversation: Conversation,
        turn: Turn,
        heard: _Heard,
        signals: Signals,
    ) -> None:
        """Stream the model into the log until it ends, fails, or the turn has to end."""
        speaking = asyncio.create_task(self._speak(owner, conversation, turn, heard))
        speaking.add_done_callback(lambda _: signals.nudge())
        try:
            while not speaking.done():
                await signals.wait(self.policy.heartbeat)
                if speaking.done() or signals.must_end:
                    break
                await self._write(owner, conversation, turn, heard)
                if heard.writing is not Writing.GO_ON:
                    break
        finally:
            speaking.cancel()
            await asyncio.wait([speaking])
        self._judge(speaking, heard)

    async def _speak(
        self, owner: Owner, conversation: Conversation, turn: Turn, heard: _Heard
    ) -> None:
        prompt = await self._prompt(owner, conversation)
        async with aclosing(self.model.reply(prompt)) as reply:
            async for said in reply:
                if isinstance(said, ModelFinished):
                    heard.finished = said
                    return
                heard.pieces.append(NumberedPiece(len(heard.pieces) + 1, said))
                await self._write(owner, conversation, turn, heard)
                if heard.writing is not Writing.GO_ON:
                    return

    async def _prompt(self, owner: Owner, conversation: Conversation) -> Prompt:
        system = self.profile.assistant().system_prompt
        prompt = build_prompt(conversation, system, self.budget)
        if not conversation.earlier or len(prompt.messages) < len(conversation.working_memory):
            return prompt
        # The budget holds more than was at hand.
        return build_prompt(await self.store.load(owner, conversation.id), system, self.budget)

    async def _write(
        self, owner: Owner, conversation: Conversation, turn: Turn, heard: _Heard
    ) -> None:
        """Log what is not logged yet; without any, a sign of life. A log that is away can wait."""
        count = len(heard.pieces)
        with suppress(StoreUnavailable):
            answer = await self.log.append(
                owner, conversation.id, turn, heard.pieces[heard.logged : count]
            )
            heard.logged = max(heard.logged, count)
            heard.writing = answer

    def _judge(self, speaking: asyncio.Task[None], heard: _Heard) -> None:
        if speaking.cancelled() or (failure := speaking.exception()) is None:
            return
        if isinstance(failure, DomainError | PortError):
            heard.error = failure.code
        else:
            heard.error = "internal_error"
            self.telemetry.note("turn.crashed", kind=type(failure).__name__)

    async def _saved(
        self, owner: Owner, conversation: Conversation, turn: Turn, heard: _Heard
    ) -> TurnEnd:
        """Store the outcome, for a while also against a store that is away."""
        change, end = self._outcome(turn, heard)
        base: Conversation | None = conversation
        deadline = self.clock.monotonic() + self.policy.save_within
        while True:
            try:
                stored = await self.store.update(owner, conversation.id, change, base=base)
            except ConversationNotFound:
                return TurnEnd(outcome=Outcome.GONE, error="conversation_gone")
            except TurnSuperseded:
                return TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded")
            except (StoreUnavailable, ConversationBusy):
                if self.clock.monotonic() >= deadline:
                    return TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")
            else:
                return evolve(end, forgotten_at=stored.forgotten_at)
            base = None
            await self.clock.sleep(_RETRY_PAUSE)
            await self._write(owner, conversation, turn, heard)

    def _outcome(
        self, turn: Turn, heard: _Heard
    ) -> tuple[Callable[[Conversation], Conversation], TurnEnd]:
        pieces, at, last = heard.plain, self.clock.now(), heard.finished
        if last is not None:
            return (
                lambda known: finish(
                    known, turn.id, pieces, at, reason=last.reason, usage=last.usage
                ),
                TurnEnd(outcome=Outcome.FINISHED, finish_reason=last.reason, usage=last.usage),
            )
        error = heard.error
        if error is not None:
            return (
                lambda known: fail(known, turn.id, pieces, at, error),
                TurnEnd(outcome=Outcome.FAILED, error=error),
            )
        return (
            lambda known: interrupt(known, turn.id, pieces, at),
            TurnEnd(outcome=Outcome.INTERRUPTED),
        )

    def _note(
        self,
        conversation: Conversation,
        turn: Turn,
        heard: _Heard,
        end: TurnEnd,
        took: timedelta,
    ) -> None:
        usage = end.usage
        self.telemetry.note(
            f"turn.{end.outcome.value}",
            session_id=conversation.id,
            turn=turn.number,
            model=self.model.name,
            pieces=len(heard.pieces),
            error=end.error,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            seconds=round(took.total_seconds(), 3),
        )
