"""Making the reply of an open turn: ask the model, log its pieces, store what it said."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import DomainError
from domain.model.identifiers import Owner
from domain.model.message import FinishReason
from domain.model.piece import ModelFinished, size_in_bytes
from domain.model.prompt import Prompt
from domain.model.turn import Outcome, TurnEnd
from domain.model.turn_policy import TurnPolicy
from domain.model.wishes import NO_WISHES, Wishes
from domain.service.prompt_building import Budget, sees_all
from domain.service.wishing import wished_prompt
from entrypoints.usecases.running_turn import RunningTurn
from entrypoints.usecases.save_reply import SaveReply
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import PortError
from ports.language_model import LanguageModel
from ports.telemetry import Telemetry
from ports.turn_log import Writing
from ports.turn_runner import Signals


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
        wishes: Wishes = NO_WISHES,
    ) -> int:
        """Make, store and announce the reply to the open turn; how many bytes of text it has.

        Saved first, announced then: whoever sees the end finds the reply in the history. Whatever
        fails becomes the turn's end; nothing is raised.
        """
        if conversation.open_turn is None:
            return 0
        began = self.clock.monotonic()
        turn = conversation.open_turn
        run = RunningTurn(owner=owner, conversation=conversation, turn=turn, wishes=wishes)
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
        prompt = wished_prompt(known, system, self.budget, run.wishes)
        if not known.earlier or not sees_all(known, prompt):
            return prompt
        # The budget holds more than was at hand.
        whole = await self.store.load(run.owner, known.id)
        return wished_prompt(whole, system, self.budget, run.wishes)

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
