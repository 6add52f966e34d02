"""Replies that are not stored: they exist only within their request."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

from attrs import define, field, frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import Owner
from domain.model.piece import NumberedPiece
from domain.model.turn import Outcome, TurnEnd
from domain.service.item_editing import open_turn_with_items
from entrypoints.usecases.create_response import (
    BaseConversation,
    PromptRoom,
    ResponseRequest,
    too_long_for_model,
    with_ids,
)
from entrypoints.usecases.fit_prompt import FitPrompt
from entrypoints.usecases.open_turn import Started, StartTurn
from entrypoints.usecases.stream_reply import ReplyDetails, StreamReply
from ports.errors import StoreUnavailable
from ports.identifier_source import IdentifierSource
from ports.turn_log import Batch
from ports.turn_runner import Signals, TurnRunner


@define
class _QueuedReply:
    """Queues the reply for the request; closed once the client has disconnected."""

    queue: "asyncio.Queue[Batch]" = field(factory=asyncio.Queue)
    is_closed: bool = False

    async def put(self, piece: NumberedPiece) -> None:
        self.queue.put_nowait(Batch(pieces=(piece,)))

    async def keep_alive(self) -> None:
        """Do nothing: the request keeps its own connection alive."""


@frozen(kw_only=True)
class EphemeralReply:
    """Streams a reply within its request. If the client disconnects, the reply is interrupted."""

    start_turn: StartTurn
    base_conversation: BaseConversation
    room: PromptRoom
    fit_prompt: FitPrompt
    runner: TurnRunner
    stream_reply: StreamReply
    identifiers: IdentifierSource

    async def prepare(self, owner: Owner, request: ResponseRequest) -> Started:
        """The turn that the model will reply to; nothing is stored.

        Raises:
            TurnNotFound: the turn to continue does not exist.
            TurnInProgress: its reply is still being written.
            InvalidInput, NothingToAnswer: the items do not fit the conversation, or the prompt
                does not fit the model's context window.
            PortError: the store failed.
        """
        options = await self.room.prompt_options(request)
        new_turn = self.start_turn.new_turn()
        session_id = self.identifiers.session_id()
        base = await self.base_conversation(owner, request, session_id, new_turn.at)
        items = with_ids(request.inputs, self.identifiers)
        opened = open_turn_with_items(base, new_turn, items)
        self.room.check(opened, options)
        with too_long_for_model():
            conversation = self.fit_prompt(opened, options)
        return Started(owner=owner, conversation=conversation)

    async def start(
        self, started: Started, request: ResponseRequest, wait: timedelta
    ) -> AsyncGenerator[Batch, None]:
        """Batches of the reply until its end; an empty one whenever nothing arrives for ``wait``.

        The reply counts as a running turn and is interrupted when the service shuts down.

        Raises:
            TooManyRequests, TooManyTurns, ShuttingDown: the model was not called.
            StoreUnavailable: the counters of the limits cannot be reached.
        """
        reply = _QueuedReply()
        permit = self.start_turn.permit(request.payer, started.turn.id)

        async def open_turn() -> Conversation:
            await permit.obtain(started.conversation.id, is_stored=False)
            return started.conversation

        async def stream(conversation: Conversation, signals: Signals) -> None:
            end, details = TurnEnd(outcome=Outcome.INTERRUPTED), ReplyDetails()
            try:
                end, details = await self.stream_reply(
                    started.ref, conversation, request.options, reply, signals, permit=permit
                )
            finally:
                # Do this even if the task is cancelled, because the request waits for the end.
                await permit.close()
                self.stream_reply.report_end(end, details, kept=False)
                reply.queue.put_nowait(Batch(end=end))

        async def abandon(_: StoreUnavailable) -> None:
            """Do nothing: nothing was stored."""

        await self.runner.run(started.turn.id, open_turn, stream, abandon)
        return self._batches(started, reply, wait)

    async def _batches(
        self, started: Started, reply: _QueuedReply, wait: timedelta
    ) -> AsyncGenerator[Batch, None]:
        batch = Batch()
        try:
            while batch.end is None:
                try:
                    async with asyncio.timeout(wait.total_seconds()):
                        batch = await reply.queue.get()
                except TimeoutError:
                    batch = Batch()
                yield batch
        finally:
            reply.is_closed = True
            self.runner.wake(started.turn.id)
