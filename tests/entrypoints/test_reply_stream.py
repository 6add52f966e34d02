"""A turn as a response if there is a later turn, or if its log is gone."""

import asyncio
from functools import partial
from typing import Any

import pytest
from starlette.types import Message

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation
from domain.model.errors import ConversationGone, TurnInProgress
from domain.model.identifiers import ConversationRef
from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.native.closing import native_closing
from entrypoints.http.reply_stream import ReplyStream, stream_when_open
from entrypoints.http.sse import DONE, HEARTBEAT, StreamBroken
from entrypoints.usecases.conversations import ReadHistory
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import OnWait, Started
from ports.clock import Clock
from ports.errors import StoreUnavailable
from ports.language_model import LanguageModel
from tests.support.builders import ID
from tests.support.fake_model import InstantModel
from tests.support.harness import Harness, a_harness


def a_reply_stream(harness: Harness) -> ReplyStream:
    def resolve(service: Any) -> Any:
        return harness.container.resolve(service)

    return ReplyStream(
        follow_turn=resolve(FollowTurn),
        read_history=resolve(ReadHistory),
        assistant=resolve(Assistant),
        model=resolve(LanguageModel),
        clock=resolve(Clock),
    )


async def test_an_awaited_reply_is_that_of_its_own_turn_despite_a_later_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = a_harness(InstantModel("Hi!"))
    started = await harness.send()

    after_turn = ReadHistory.after_turn

    async def send_other_messages_first(
        self: ReadHistory, ref: ConversationRef, number: int
    ) -> Conversation:
        for _ in range(5):
            await harness.end_of(await harness.send("More!", session_id=ref.session_id))
        return await after_turn(self, ref, number)

    monkeypatch.setattr(ReadHistory, "after_turn", send_other_messages_first)
    reply = (await a_reply_stream(harness).await_reply(started)).document

    assert reply is not None
    assert reply.reply is not None
    assert (reply.turn_id, reply.reply.id) == (started.turn.id, started.turn.reply_id)
    assert reply.reply.content == "Hi!"


async def test_a_reply_that_was_forgotten_before_it_was_read_is_gone() -> None:
    harness = a_harness(InstantModel("Hi!"))
    started = await harness.send()
    await harness.end_of(started)
    await harness.store.forget(started.ref)
    ended = TurnEnd(outcome=Outcome.FINISHED)
    harness.log.open(started.ref, started.turn)
    await harness.log.end(started.ref, started.turn, ended)

    with pytest.raises(ConversationGone):
        await a_reply_stream(harness).await_reply(started)


@pytest.mark.parametrize("after", [1, 2, 3])
async def test_resuming_after_a_lost_piece_breaks_the_stream(
    after: int,
) -> None:
    harness = a_harness(InstantModel("One", " two", " three"))
    started = await harness.send()
    await harness.end_of(started)
    harness.log.forget(started.conversation.id)

    stream = a_reply_stream(harness).resume(started.ref, started.turn, after)
    assert await anext(stream) == b": resumed\n\n"
    with pytest.raises(StreamBroken):
        await anext(stream)


async def test_resuming_from_the_beginning_works_without_a_log() -> None:
    harness = a_harness(InstantModel("One", " two", " three"))
    started = await harness.send()
    await harness.end_of(started)
    harness.log.forget(started.conversation.id)

    stream = a_reply_stream(harness).resume(started.ref, started.turn, None)
    stream_bytes = b"".join([chunk async for chunk in stream])

    assert b'"delta":"One two three"' in stream_bytes
    assert stream_bytes.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("ends_cleanly", [True, False])
@pytest.mark.parametrize("error", [None, TurnInProgress("another"), StoreUnavailable("update")])
async def test_a_response_begins_before_a_turn_that_has_to_wait(
    error: Exception | None, *, ends_cleanly: bool
) -> None:
    harness = a_harness(InstantModel("Hi!"))
    may_open = asyncio.Event()

    async def open_turn(on_wait: OnWait | None) -> Started:
        assert on_wait is not None
        on_wait(ID)
        on_wait(ID)
        await may_open.wait()
        if error is not None:
            raise error
        return await harness.send()

    events = partial(a_reply_stream(harness).native_events, closing=native_closing)
    response = await stream_when_open(open_turn, events, {}, ends_cleanly=ends_cleanly)
    sent: list[bytes] = []

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if HEARTBEAT in sent:
            may_open.set()

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    await response({}, receive, send)
    body = b"".join(sent)

    assert response.headers["x-session-id"] == ID
    assert body.startswith(HEARTBEAT)
    if error is None:
        assert b"Hi!" in body
    else:
        assert b'"type":"error"' in body
        assert body.endswith(DONE) is ends_cleanly


async def test_a_response_without_a_wait_begins_with_its_turn() -> None:
    harness = a_harness(InstantModel("Hi!"))

    async def refused(_: OnWait | None) -> Started:
        raise TurnInProgress("another")

    events = partial(a_reply_stream(harness).native_events, closing=native_closing)
    response = await stream_when_open(lambda _: harness.send(), events, {}, ends_cleanly=True)

    assert response.headers["x-session-id"] != ID
    with pytest.raises(TurnInProgress):
        await stream_when_open(refused, events, {}, ends_cleanly=True)
