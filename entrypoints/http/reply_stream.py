"""Responds with the reply of a turn: a stream of events, or one document."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from time import time
from types import MappingProxyType
from typing import Any, TypeAlias

from attrs import frozen
from starlette.responses import Response

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation
from domain.model.errors import DomainError
from domain.model.identifiers import ConversationRef, SessionId, TurnRef
from domain.model.message import Part, Role, SourcePart
from domain.model.turn import Outcome, Turn, TurnEnd
from entrypoints.http.documents import (
    ReplyDocument,
    json_response,
    message_counts,
    message_document,
    usage_document,
)
from entrypoints.http.problems import EdgeError, Problem, problem_of, problem_of_code
from entrypoints.http.sse import (
    DONE,
    HEARTBEAT,
    HEARTBEAT_INTERVAL,
    EventStream,
    StreamBroken,
    event,
)
from entrypoints.http.ui_message_stream import ReplyChunks, error_chunk
from entrypoints.usecases.conversations import ReadHistory
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import OnWait, Started
from ports.clock import Clock
from ports.errors import PortError, TurnLogNotFound
from ports.language_model import LanguageModel
from ports.turn_log import Batch

OpenFn: TypeAlias = Callable[[OnWait | None], Awaitable[Started]]
"""Opens a turn; its argument is the ``on_wait`` of the request."""

EventsFn: TypeAlias = Callable[[Started], AsyncGenerator[bytes, None]]


@frozen(kw_only=True)
class StreamedReply:
    """What is known about a reply once its native stream is complete.

    Attributes:
        question: the text of the newest user message.
        sources: the sources that this turn added.
        cost: according to the assistant's price list; None if unknown.
        latency: how long the stream took.
        to_first_piece: the part of ``latency`` before the first piece.
        ended_at: in seconds since 1970.
    """

    question: str
    sources: Sequence[SourcePart]
    cost: float | None
    latency: timedelta
    to_first_piece: timedelta
    ended_at: float


ClosingFn: TypeAlias = Callable[[StreamedReply], bytes]
"""The events that a native client gets after ``[DONE]``."""


@frozen(kw_only=True)
class Reply:
    """The outcome of a turn that has ended: a document, or a problem."""

    document: ReplyDocument | None = None
    problem: Problem | None = None

    def response(self, headers: Mapping[str, str]) -> Response:
        """The response. ``headers`` may carry the caller's key, so only a success gets them."""
        if self.document is not None:
            return json_response(self.document, headers=dict(headers))
        return (self.problem or problem_of_code("internal_error")).response()


@frozen(kw_only=True)
class ReplyStream:
    """Streams turns as events, or waits for them."""

    follow_turn: FollowTurn
    read_history: ReadHistory
    assistant: Assistant
    model: LanguageModel
    clock: Clock

    async def native_events(
        self, started: Started, *, closing: ClosingFn
    ) -> AsyncGenerator[bytes, None]:
        """The events of a new turn: ``session-id``, its chunks, ``[DONE]``, the ``closing`` ones.

        If it continues a reply that was cut, the chunks repeat what the reply has already.

        Raises:
            StreamBroken: the turn failed; the last event was an ``error``.
        """
        started_at = self.clock.monotonic()
        session = {"sessionId": started.conversation.id, "restarted": started.restarted}
        yield event(session, name="session-id")
        prior = await self._prior_text(started)
        chunks = _reply_chunks(started.ref, started.turn)
        first_at: timedelta | None = None
        async for chunk, end in self._events(started.ref, started.turn, chunks, prior=prior):
            yield chunk
            now = self.clock.monotonic()
            first_at = now if first_at is None and chunks.has_begun else first_at
            if end is not None:
                cost = self.assistant.cost_of(self.model.name, end.usage)
                yield closing(
                    StreamedReply(
                        question=_question(started.conversation),
                        sources=chunks.sources,
                        cost=None if cost is None else float(cost),
                        latency=now - started_at,
                        to_first_piece=(first_at or now) - started_at,
                        ended_at=time(),
                    )
                )

    async def turn_events(
        self, started: Started, metadata: Mapping[str, object], *, repeats_text: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """The chunks of a new turn and ``[DONE]``; the first chunk carries ``metadata``.

        With ``repeats_text``, the chunks of a turn that continues a reply that was cut repeat what
        the reply has already.

        Unlike the native stream, it ends cleanly after a failure, because the AI SDK reads the
        ``error`` chunk.
        """
        try:
            prior = await self._prior_text(started) if repeats_text else ()
            chunks = _reply_chunks(started.ref, started.turn, metadata)
            async for chunk, _ in self._events(started.ref, started.turn, chunks, prior=prior):
                yield chunk
        except StreamBroken:
            yield DONE

    async def resume(
        self, ref: ConversationRef, turn: Turn, after: int | None
    ) -> AsyncGenerator[bytes, None]:
        """The events of a running turn after piece ``after``; all events if that is None.

        Raises:
            StreamBroken: the turn failed, or the pieces after ``after`` are gone.
        """
        prior = await self.follow_turn.prior_parts(ref, turn) if after is None else ()
        chunks = _reply_chunks(ref, turn)
        async for chunk, _ in self._events(ref, turn, chunks, after, prior=prior):
            yield chunk

    async def _prior_text(self, started: Started) -> Sequence[Part]:
        """What a reply had when it was cut, if the turn continues it from there; else nothing."""
        if started.turn.cut_at is None:
            return ()
        return await self.follow_turn.prior_parts(started.ref, started.turn)

    async def _events(
        self,
        ref: ConversationRef,
        turn: Turn,
        chunks: ReplyChunks,
        after: int | None = None,
        *,
        prior: Sequence[Part] = (),
    ) -> AsyncGenerator[tuple[bytes, TurnEnd | None], None]:
        """The events, each with None; the last one of a complete turn comes with the turn's end.

        ``prior`` are the parts of the reply to repeat before the first piece.

        Raises:
            StreamBroken: the turn failed, and an ``error`` event was sent. A clean end would look
                like success to the widget. Also raised if the pieces after ``after`` are gone: no
                event is sent, and a client that tries again gets a 204 and reads the history.
        """
        yield (chunks.start(prior) if after is None else b": resumed\n\n"), None
        async for batch in turn_batches(self.follow_turn, TurnRef(ref, turn.id), after or 0):
            rendered = _rendered(chunks, batch, after or 0)
            if batch.end is None:
                yield rendered or HEARTBEAT, None
            elif batch.end.is_complete:
                yield rendered + chunks.end(batch.end) + DONE, batch.end
            else:
                yield rendered + chunks.end(batch.end), None
                raise StreamBroken

    async def await_reply(self, started: Started) -> Reply:
        """The reply of a new turn, once the turn has ended.

        Raises:
            PortError: the end of the turn could not be read.
            ConversationGone: the conversation was forgotten after the turn had ended.
        """
        end = await self._end(started.turn_ref)
        if end.is_complete:
            conversation = await self.read_history.after_turn(started.ref, started.turn.number)
            return Reply(document=_document(conversation, started, end))
        return Reply(problem=problem_of_code(end.error or "internal_error"))

    async def _end(self, turn_ref: TurnRef) -> TurnEnd:
        batches = self.follow_turn.batches(turn_ref, HEARTBEAT_INTERVAL)
        async with aclosing(batches):
            async for batch in batches:
                if batch.end is not None:
                    return batch.end
        raise AssertionError("a turn has an end")


async def stream_when_open(
    open_turn: OpenFn, events: EventsFn, headers: Mapping[str, str], *, ends_cleanly: bool
) -> EventStream:
    """The events of the turn that ``open_turn`` opens.

    If the turn has to wait until another one has ended, the response begins without it, so that
    neither the client nor a proxy takes the silence for a failure. An error is then an ``error``
    event; ``ends_cleanly`` says whether ``[DONE]`` follows it, or the transfer is broken off.

    Raises:
        DomainError, PortError: the turn was not opened; see the use cases.
    """
    waiting: asyncio.Future[SessionId] = asyncio.get_running_loop().create_future()

    def note(session_id: SessionId) -> None:
        if not waiting.done():
            waiting.set_result(session_id)

    opening = asyncio.ensure_future(open_turn(note))
    either: set[asyncio.Future[Any]] = {opening, waiting}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        opening.cancel()
        raise
    if opening.done():
        started = opening.result()
        session_id = started.conversation.id
        stream = events(started)
    else:
        session_id = waiting.result()
        stream = _events_when_open(opening, events, ends_cleanly=ends_cleanly)
    return EventStream(stream, headers={**headers, "x-session-id": session_id})


async def _events_when_open(
    opening: "asyncio.Future[Started]", events: EventsFn, *, ends_cleanly: bool
) -> AsyncGenerator[bytes, None]:
    try:
        while not opening.done():
            yield HEARTBEAT
            await asyncio.wait({opening}, timeout=HEARTBEAT_INTERVAL.total_seconds())
        started = opening.result()
    except (DomainError, PortError, EdgeError) as error:
        yield error_chunk(problem_of(error).code)
        if not ends_cleanly:
            raise StreamBroken from None
        yield DONE
        return
    finally:
        # The turn is opened even if the client has left.
        opening.cancel()
    async with aclosing(events(started)) as stream:
        async for chunk in stream:
            yield chunk


async def turn_batches(
    follow_turn: FollowTurn, turn_ref: TurnRef, after: int = 0
) -> AsyncGenerator[Batch, None]:
    """The batches of a turn as they come, until its end; a PortError becomes a failed end.

    Raises:
        StreamBroken: the pieces after ``after`` are gone; not raised if ``after`` is 0.
    """
    batches = follow_turn.batches(turn_ref, HEARTBEAT_INTERVAL, after=after)
    try:
        async with aclosing(batches):
            async for batch in batches:
                yield batch
    except TurnLogNotFound:
        raise StreamBroken from None
    except PortError as error:
        yield Batch(end=TurnEnd(outcome=Outcome.FAILED, error=problem_of(error).code))


def _reply_chunks(
    ref: ConversationRef, turn: Turn, metadata: Mapping[str, object] = MappingProxyType({})
) -> ReplyChunks:
    start = {"sessionId": ref.session_id, **metadata, "turnId": turn.id}
    return ReplyChunks(turn.id, turn.reply_id, start, joins_text=turn.cut_at is not None)


def _question(conversation: Conversation) -> str:
    """The text of the newest user message."""
    questions = (one.text for one in reversed(conversation.messages) if one.role is Role.USER)
    return next(questions, "")


def _rendered(chunks: ReplyChunks, batch: Batch, after: int) -> bytes:
    """The chunks of those pieces that come after piece ``after``."""
    # All are rendered: the chunks of a piece depend on the pieces before it.
    rendered = [(piece.number, chunks.piece(piece)) for piece in batch.pieces]
    return b"".join(chunk for number, chunk in rendered if number > after)


def _document(conversation: Conversation, started: Started, end: TurnEnd) -> ReplyDocument:
    # The newest message may belong to a later turn by now.
    replies = (message for message in conversation.messages if message.id == started.turn.reply_id)
    reply = next(replies, None)
    counts = message_counts(end.prompt_report)
    return ReplyDocument(
        session_id=conversation.id,
        restarted=started.restarted,
        turn_id=started.turn.id,
        reply=message_document(reply) if reply else None,
        usage=usage_document(end.usage),
        messages_seen=counts.get("messagesSeen"),
        messages_total=counts.get("messagesTotal"),
        expires_at=conversation.expires_at,
    )
