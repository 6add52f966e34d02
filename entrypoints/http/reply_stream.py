"""Following a turn into a response: as a stream of events, or as one document."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta
from time import time
from types import MappingProxyType
from typing import Final

from attrs import frozen
from starlette.responses import Response

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from domain.model.turn import Outcome, Turn, TurnEnd
from entrypoints.http.documents import ReplyDocument, json_response, message_document, usage_answer
from entrypoints.http.problems import Problem, problem_of, problem_of_code
from entrypoints.http.sse import DONE, HEARTBEAT, StreamBroken, event
from entrypoints.http.ui_message_stream import ReplyChunks, prior_steps
from entrypoints.usecases.conversations import ReadHistory
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import Started
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.errors import PortError, TurnLogNotFound
from ports.language_model import LanguageModel
from ports.turn_log import Batch

_HEARTBEAT_EVERY: Final = timedelta(seconds=4)


@frozen(kw_only=True)
class Reply:
    """The outcome of a turn that was awaited: a document, or a problem."""

    document: ReplyDocument | None = None
    problem: Problem | None = None

    def response(self, headers: Mapping[str, str]) -> Response:
        """The answer; ``headers``, which hand out the caller's key, go with a success only."""
        if self.document is not None:
            return json_response(self.document, headers=dict(headers))
        return (self.problem or problem_of_code("internal_error")).response()


@frozen(kw_only=True)
class ReplyStream:
    """Shows turns to native clients."""

    follow: FollowTurn
    history: ReadHistory
    profile: AssistantProfile
    model: LanguageModel
    clock: Clock

    async def native(self, owner: Owner, started: Started) -> AsyncGenerator[bytes, None]:
        """A new turn's events: ``session-id``, the chunks, ``[DONE]``, ``metadata-info``."""
        began = self.clock.monotonic()
        session_id = started.conversation.id
        hello = {"sessionId": session_id, "restarted": started.restarted}
        yield event(hello, name="session-id")
        async for chunk, end in self._chunks(
            ConversationRef(owner, session_id), started.turn, None
        ):
            yield chunk
            if end is not None:
                info = self._info(end, self.clock.monotonic() - began)
                yield event(info, name="metadata-info")

    async def turn(
        self, owner: Owner, started: Started, told: Mapping[str, object]
    ) -> AsyncGenerator[bytes, None]:
        """A new turn's chunks and ``[DONE]``; ``told`` goes into the metadata of ``start``.

        Unlike the native stream it ends cleanly after a failure: the client reads the ``error``
        chunk.
        """
        session_id = started.conversation.id
        try:
            async for chunk, _ in self._chunks(
                ConversationRef(owner, session_id), started.turn, None, told=told
            ):
                yield chunk
        except StreamBroken:
            yield DONE

    async def resumed(
        self, ref: ConversationRef, turn: Turn, after: int | None
    ) -> AsyncGenerator[bytes, None]:
        """A running turn's events behind piece ``after``; ``None`` means from the first chunk."""
        before = b""
        if after is None:
            before = prior_steps(await self.follow.said_before(ref, turn))
        async for chunk, _ in self._chunks(ref, turn, after):
            yield chunk + before
            before = b""

    async def _chunks(
        self,
        ref: ConversationRef,
        turn: Turn,
        after: int | None,
        told: Mapping[str, object] = MappingProxyType({}),
    ) -> AsyncGenerator[tuple[bytes, TurnEnd | None], None]:
        """Chunks, the last of a whole stream together with the turn's end.

        Raises:
            StreamBroken: after an ``error`` event; the widget takes a clean end for success.
                Without one when nobody knows any more what is behind piece ``after``: who asks
                again is sent to the history.
        """
        metadata = {"sessionId": ref.session_id, **told, "turnId": turn.id}
        chunks = ReplyChunks(turn.id, turn.reply_id, metadata)
        yield (chunks.beginning() if after is None else b": resumed\n\n"), None
        async for batch in self._batches(TurnRef(ref, turn.id), after or 0):
            rendered = _rendered(chunks, batch, after or 0)
            if batch.end is None:
                yield rendered or HEARTBEAT, None
            elif batch.end.is_complete:
                yield rendered + chunks.ending(batch.end) + DONE, batch.end
            else:
                yield rendered + chunks.ending(batch.end), None
                raise StreamBroken

    async def _batches(self, turn_ref: TurnRef, after: int) -> AsyncGenerator[Batch, None]:
        """The turn as it comes; a failure is an end like any other."""
        following = self.follow.batches(turn_ref, _HEARTBEAT_EVERY, after=after)
        try:
            async with aclosing(following):
                async for batch in following:
                    yield batch
        except TurnLogNotFound:
            raise StreamBroken from None
        except PortError as error:
            yield Batch(end=TurnEnd(outcome=Outcome.FAILED, error=problem_of(error).code))

    def _info(self, end: TurnEnd, took: timedelta) -> dict[str, object]:
        cost = self.profile.assistant().cost_of(self.model.name, end.usage)
        return {
            "cost": None if cost is None else float(cost),
            "latency": round(took.total_seconds() * 1000),
            "timestamp": round(time() * 1000),
        }

    async def awaited(self, owner: Owner, started: Started) -> Reply:
        """The whole reply at once."""
        session_id, turn_id = started.conversation.id, started.turn.id
        end = await self._end(TurnRef(ConversationRef(owner, session_id), turn_id))
        if end.is_complete:
            conversation = await self.history.whole(ConversationRef(owner, session_id))
            return Reply(document=_document(conversation, started, end))
        return Reply(problem=problem_of_code(end.error or "internal_error"))

    async def _end(self, turn_ref: TurnRef) -> TurnEnd:
        following = self.follow.batches(turn_ref, _HEARTBEAT_EVERY)
        async with aclosing(following):
            async for batch in following:
                if batch.end is not None:
                    return batch.end
        raise AssertionError("a turn has an end")


def _rendered(chunks: ReplyChunks, batch: Batch, after: int) -> bytes:
    """The chunks of those pieces that come after piece ``after``."""
    # All are rendered: the chunks of a piece depend on the pieces before it.
    rendered = [(piece.number, chunks.of(piece)) for piece in batch.pieces]
    return b"".join(chunk for number, chunk in rendered if number > after)


def _document(conversation: Conversation, started: Started, end: TurnEnd) -> ReplyDocument:
    # Not the newest message: somebody may have said more by now.
    named = (said for said in conversation.messages if said.id == started.turn.reply_id)
    reply = next(named, None)
    return ReplyDocument(
        session_id=conversation.id,
        restarted=started.restarted,
        turn_id=started.turn.id,
        reply=message_document(reply) if reply else None,
        usage=usage_answer(end.usage),
        expires_at=conversation.expires_at,
    )
