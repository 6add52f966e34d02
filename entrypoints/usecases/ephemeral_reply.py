"""A reply of which nothing is kept: no record, no log, nothing to come back to."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, DomainError, MessageNotFound, TurnNotFound
from domain.model.identifiers import ConversationRef, Owner
from domain.model.limits import MAX_REPLY_BYTES
from domain.model.message import FinishReason
from domain.model.piece import ModelFinished, NumberedPiece, counted_bytes
from domain.model.turn import Outcome, TurnEnd
from domain.service.item_editing import branch_at_turn, open_turn_with_items
from domain.service.prompt_building import Budget, build_prompt_with_options
from domain.service.turn_lifecycle import NewTurn, new_conversation
from entrypoints.usecases.edit_items import ResponseRequest, with_ids
from entrypoints.usecases.open_turn import Started, StartTurn
from ports.assistant_profile import AssistantProfile
from ports.conversation_store import ConversationStateStore
from ports.errors import PortError
from ports.identifier_source import IdentifierSource
from ports.language_model import LanguageModel
from ports.telemetry import Telemetry
from ports.turn_log import Batch
from ports.turn_runner import Signals, TurnRunner

_LOOK_AGAIN: Final = timedelta(seconds=1)


@frozen(kw_only=True)
class EphemeralReply:
    """Replies within the request that asks; whoever leaves ends the reply."""

    store: ConversationStateStore
    start_turn: StartTurn
    runner: TurnRunner
    model: LanguageModel
    profile: AssistantProfile
    budget: Budget
    identifiers: IdentifierSource
    telemetry: Telemetry

    async def prepare(self, owner: Owner, new: ResponseRequest) -> Started:
        """The turn that would be opened, with nothing stored.

        Raises:
            TurnNotFound: the turn to be continued is not there.
            TurnInProgress: its reply is still being written.
            InvalidInput, NothingToAnswer: what was put in does not fit what is there.
            PortError: the store failed.
        """
        new_turn = self.start_turn.new_turn()
        base = await self._base(owner, new, new_turn)
        conversation = open_turn_with_items(base, new_turn, with_ids(new.inputs, self.identifiers))
        if conversation.turn is None:
            raise AssertionError("what was put in has a turn")
        return Started(conversation=conversation, turn=conversation.turn)

    async def start(
        self, started: Started, new: ResponseRequest, wait: timedelta
    ) -> AsyncGenerator[Batch, None]:
        """The reply as it comes, until its end; an empty batch whenever ``wait`` passes in silence.

        It counts as a running turn, and ends with the service.

        Raises:
            TooManyTurns, ShuttingDown: the model was not asked.
        """
        heard: asyncio.Queue[Batch] = asyncio.Queue()
        leaving = asyncio.Event()

        async def new_turn() -> Conversation:
            return started.conversation

        async def replying(conversation: Conversation, signals: Signals) -> None:
            await self._hand_over(conversation, new, signals, heard, leaving)

        async def abandoning() -> None:
            """Nothing was stored."""

        await self.runner.run(started.turn.id, new_turn, replying, abandoning)

        def leave() -> None:
            leaving.set()
            self.runner.wake(started.turn.id)

        return _batches(heard, wait, leave)

    async def _base(self, owner: Owner, new: ResponseRequest, new_turn: NewTurn) -> Conversation:
        session_id = self.identifiers.session_id()
        if new.session_id is None or new.after_turn is None:
            locale = self.profile.assistant().default_locale
            return new_conversation(session_id, locale=locale, at=new_turn.at)
        try:
            known = await self.store.load(ConversationRef(owner, new.session_id))
            return branch_at_turn(
                known,
                new.after_turn,
                session_id=session_id,
                turn_id=self.identifiers.turn_id(),
                at=new_turn.at,
            )
        except (ConversationNotFound, MessageNotFound):
            raise TurnNotFound from None

    async def _hand_over(
        self,
        conversation: Conversation,
        new: ResponseRequest,
        signals: Signals,
        heard: "asyncio.Queue[Batch]",
        leaving: asyncio.Event,
    ) -> None:
        speaking = asyncio.create_task(self._speak(conversation, new, heard))
        speaking.add_done_callback(lambda _: signals.wake())
        try:
            while not (speaking.done() or leaving.is_set() or signals.shutting_down):
                await signals.wait(_LOOK_AGAIN)
            speaking.cancel()
            await asyncio.wait([speaking])
        finally:
            speaking.cancel()
            # Also when this very task is cut off: somebody still waits for the end.
            heard.put_nowait(Batch(end=self._noted(self._end(speaking))))

    async def _speak(
        self, conversation: Conversation, new: ResponseRequest, heard: "asyncio.Queue[Batch]"
    ) -> ModelFinished | None:
        system = self.profile.assistant().system_prompt
        prompt = build_prompt_with_options(conversation, system, self.budget, new.options)
        number = size = 0
        async with aclosing(self.model.reply(prompt)) as reply:
            async for said in reply:
                if isinstance(said, ModelFinished):
                    return said
                number, size = number + 1, size + counted_bytes(said)
                if size > MAX_REPLY_BYTES:
                    return ModelFinished(reason=FinishReason.LENGTH)
                heard.put_nowait(Batch(pieces=(NumberedPiece(number, said),)))
        return None

    def _noted(self, end: TurnEnd) -> TurnEnd:
        self.telemetry.emit(
            f"turn.{end.outcome.value}",
            kept=False,
            model=self.model.name,
            error=end.error,
            input_tokens=end.usage.input_tokens if end.usage else None,
            output_tokens=end.usage.output_tokens if end.usage else None,
        )
        return end

    def _end(self, speaking: "asyncio.Task[ModelFinished | None]") -> TurnEnd:
        if not speaking.done() or speaking.cancelled():
            return TurnEnd(outcome=Outcome.INTERRUPTED)
        failure = speaking.exception()
        if isinstance(failure, DomainError | PortError):
            return TurnEnd(outcome=Outcome.FAILED, error=failure.code)
        last = None if failure else speaking.result()
        if last is None:
            kind = type(failure).__name__
            self.telemetry.emit("turn.crashed", kind=kind)
            return TurnEnd(outcome=Outcome.FAILED, error="internal_error")
        return TurnEnd(outcome=Outcome.FINISHED, finish_reason=last.reason, usage=last.usage)


async def _batches(
    heard: "asyncio.Queue[Batch]", wait: timedelta, leave: Callable[[], None]
) -> AsyncGenerator[Batch, None]:
    batch = Batch()
    try:
        while batch.end is None:
            try:
                async with asyncio.timeout(wait.total_seconds()):
                    batch = await heard.get()
            except TimeoutError:
                batch = Batch()
            yield batch
    finally:
        leave()
