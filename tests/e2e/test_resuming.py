"""Resuming a reply that is still being written."""

from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from domain.model.piece import ReasoningPiece, ToolCallPiece
from tests.support.event_stream import Event, kinds, text_of, without_padding
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.http_client import LiveAnswer
from tests.support.native_client import NativeClient


async def start_reply(
    live: LiveAnswer, fake_model: FakeModel, *texts: str
) -> tuple[str, ModelReply]:
    """The session id and the model's reply, once the client has received the pieces."""
    session_id = str((await live.event()).document["sessionId"])
    model_reply = await fake_model.next_reply()
    model_reply.send_text(*texts)
    for _ in texts:
        await live.until("text-delta")
    return session_id, model_reply


def chunks_only(events: list[Event]) -> list[Event]:
    """The events that resuming repeats: all except those only the first request gets."""
    return [event for event in events if event.name not in ("session-id", "metadata-info")]


async def test_resuming_begins_with_the_first_chunk_and_continues_live(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, model_reply = await start_reply(live, fake_model, "Hel", "lo ")
        async with client.resume(session_id) as resumed:
            await resumed.until("text-delta")
            model_reply.send_text("again")
            model_reply.finish()
            first, second = await live.whole(), await resumed.whole()

    assert without_padding(second.events) == without_padding(chunks_only(first.events))
    assert second.clean


async def test_resuming_after_any_cursor_gives_exactly_the_rest(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, model_reply = await start_reply(live, fake_model)
        model_reply.send(ReasoningPiece("Hm"))
        model_reply.send_text("One ", "two")
        model_reply.send(ToolCallPiece(call_id="c1", name="count", arguments="{}"))
        model_reply.send_text("three")
        seen = await live.until("tool-input-delta") + await live.until("text-delta")
        cursors = [event.cursor for event in seen if event.cursor]
        async with AsyncExitStack() as open_streams:
            streams = [client.resume(session_id, cursor) for cursor in cursors]
            resumed = [await open_streams.enter_async_context(stream) for stream in streams]
            model_reply.send_text(" four")
            model_reply.finish()
            rests = [without_padding((await stream.whole()).events) for stream in resumed]
        whole = without_padding(chunks_only((await live.whole()).events))

    places = [cursor for cursor, _ in whole]
    assert len(cursors) == 6
    assert rests == [whole[places.index(cursor) + 1 :] for cursor in cursors]


async def test_any_number_of_readers_may_follow_and_leave(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, model_reply = await start_reply(live, fake_model, "Hel")
        async with client.resume(session_id) as one, client.resume(session_id) as two:
            async with client.resume(session_id) as leaving:
                await leaving.until("text-delta")
            model_reply.send_text("lo")
            model_reply.finish()
            answers = [await follower.whole() for follower in (live, one, two)]

    assert [text_of(answer.events) for answer in answers] == ["Hello"] * 3


async def test_a_resumed_stream_never_names_the_session(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, model_reply = await start_reply(live, fake_model, "Hi")
        async with client.resume(session_id) as resumed:
            model_reply.finish()
            events = (await resumed.whole()).events

    assert kinds(events)[0] == "start"
    assert kinds(events)[-1] == "[DONE]"


async def test_a_resumed_stream_breaks_off_with_the_reply(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, model_reply = await start_reply(live, fake_model, "Hi")
        async with client.resume(session_id) as resumed:
            model_reply.fail()
            answer = await resumed.whole()

    assert kinds(answer.events)[-1] == "error"
    assert not answer.clean


async def test_a_saved_reply_is_not_resumed(client: NativeClient, fake_model: FakeModel) -> None:
    async with client.streaming("Hello?") as live:
        session_id, model_reply = await start_reply(live, fake_model, "Hi")
        model_reply.finish()
        cursor = [event.cursor for event in (await live.whole()).events if event.cursor][-1]

    idle = await client.get(f"/api/chat/{session_id}/stream")
    after_cursor = await client.get(f"/api/chat/{session_id}/stream", last_event_id=cursor)
    assert [(answer.status, answer.body) for answer in (idle, after_cursor)] == [(204, b"")] * 2


async def test_a_cursor_of_an_earlier_turn_resumes_nothing(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("One?") as live:
        session_id, model_reply = await start_reply(live, fake_model, "One")
        model_reply.finish()
        old = [event.cursor for event in (await live.whole()).events if event.cursor][-1]

    async with client.streaming("Two?", session_id) as live:
        await start_reply(live, fake_model, "Two")
        answer = await client.get(f"/api/chat/{session_id}/stream", last_event_id=old)

    assert (answer.status, answer.body) == (204, b"")


async def test_another_user_cannot_follow_a_running_reply(
    client: NativeClient, fake_model: FakeModel
) -> None:
    stranger, keyless = NativeClient(client.url), NativeClient(client.url)
    async with client.streaming("Hello?") as live, stranger.streaming("Me too") as other:
        session_id, _ = await start_reply(live, fake_model, "Hi")
        await other.event()
        answers = [
            await caller.get(f"/api/chat/{session_id}/stream") for caller in (stranger, keyless)
        ]

    assert [answer.status for answer in answers] == [204, 204]
    assert all("set-cookie" not in answer.headers for answer in answers)


@pytest.mark.parametrize("has_key", [True, False], ids=["with a key", "without one"])
async def test_an_unknown_conversation_has_nothing_to_resume(
    client: NativeClient, *, has_key: bool
) -> None:
    if has_key:
        await client.get_key()

    answer = await client.get(f"/api/chat/{uuid4()}/stream")

    assert (answer.status, answer.body) == (204, b"")
