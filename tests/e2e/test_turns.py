"""One turn at a time: stopping, rejecting, interrupting and forgetting it."""

from uuid import uuid4

import pytest

from tests.support.event_stream import kinds, text_of
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.http_client import LiveAnswer
from tests.support.native_client import NativeClient, eventually


async def start_reply(
    live: LiveAnswer, fake_model: FakeModel, text: str = "Hel"
) -> tuple[str, str, ModelReply]:
    """The session id, the turn id and the model's reply, once the client has received ``text``."""
    session_id = str((await live.event()).document["sessionId"])
    turn_id = str((await live.event()).document["messageMetadata"]["turnId"])
    model_reply = await fake_model.next_reply()
    model_reply.send_text(text)
    await live.until("text-delta")
    return session_id, turn_id, model_reply


async def test_stopping_keeps_the_text_so_far_and_closes_the_model(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, turn_id, model_reply = await start_reply(live, fake_model)
        stopped = await client.stop(session_id, turn_id)

    assert stopped == {"success": True, "stopped": True}
    assert model_reply.closed.is_set()
    assert await client.transcript(session_id) == [("user", "Hello?"), ("assistant", "Hel")]
    reply = (await client.history(session_id)).document["messages"][-1]
    assert reply["status"] == "interrupted"
    assert (await client.turn(session_id))["status"] == "interrupted"


async def test_a_reply_stopped_before_its_first_piece_leaves_no_message(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id = (await live.event()).document["sessionId"]
        await fake_model.next_reply()
        await client.stop(session_id)
        answer = await live.whole()

    assert kinds(answer.events)[-3:] == ["abort", "[DONE]", "metadata-info"]
    assert await client.transcript(session_id) == [("user", "Hello?")]


async def test_a_late_stop_does_not_stop_the_next_turn(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, _, model_reply = await start_reply(live, fake_model)
        stopped = await client.stop(session_id, turn_id="0" * 32)
        model_reply.send_text("lo")
        model_reply.finish()
        answer = await live.whole()

    assert stopped == {"success": True, "stopped": False}
    assert text_of(answer.events) == "Hello"


async def test_only_the_owner_stops_a_reply(client: NativeClient, fake_model: FakeModel) -> None:
    stranger = NativeClient(client.url)
    await stranger.get_key()
    async with client.streaming("Hello?") as live:
        session_id, turn_id, _ = await start_reply(live, fake_model)
        stopped = [
            await who.stop(session_id, turn_id) for who in (stranger, NativeClient(client.url))
        ]

        assert [answer["stopped"] for answer in stopped] == [False, False]
        assert (await client.turn(session_id))["status"] == "open"


async def test_stopping_nothing_is_no_error(client: NativeClient) -> None:
    await client.get_key()

    assert await client.stop(str(uuid4())) == {"success": True, "stopped": False}


async def test_a_second_message_is_rejected_while_a_reply_is_written(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, turn_id, _ = await start_reply(live, fake_model)
        answer = await client.send("And?", session_id)

        assert (answer.status, answer.code) == (409, "turn_in_progress")
        assert answer.document["turnId"] == turn_id
        assert answer.headers["x-should-retry"] == "false"
        assert "set-cookie" not in answer.headers
        assert await client.transcript(session_id) == [("user", "Hello?")]


@pytest.mark.parametrize("members", [{"onBusy": "interrupt"}, {"clientId": "w1"}])
async def test_a_second_message_interrupts_if_requested_or_from_the_widget(
    client: NativeClient, fake_model: FakeModel, members: dict[str, str]
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, _, first = await start_reply(live, fake_model)
        async with client.streaming("And?", session_id, **members) as next_live:
            second = await fake_model.next_reply()
            second.send_text("Yes")
            second.finish()
            answers = [await live.whole(), await next_live.whole()]

    assert "abort" in kinds(answers[0].events)
    assert text_of(answers[1].events) == "Yes"
    assert first.closed.is_set()
    assert await client.transcript(session_id) == [
        ("user", "Hello?"),
        ("assistant", "Hel"),
        ("user", "And?"),
        ("assistant", "Yes"),
    ]


async def test_a_widget_can_still_choose_reject(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, _, _ = await start_reply(live, fake_model)
        answer = await client.send("And?", session_id, questionContext={}, onBusy="reject")

    assert answer.code == "turn_in_progress"


async def test_forgetting_during_a_reply_ends_it_and_nothing_comes_back(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, _, model_reply = await start_reply(live, fake_model)
        await client.delete(f"/api/chat/{session_id}")
        answer = await live.whole()
        await model_reply.closed.wait()

    assert kinds(answer.events)[-1] == "error"
    assert answer.events[-1].document["code"] == "conversation_gone"
    assert not answer.clean
    assert (await client.history(session_id)).status == 404


async def test_a_failed_reply_is_marked_and_keeps_its_text(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id, _, model_reply = await start_reply(live, fake_model)
        model_reply.fail()
        await eventually(lambda: client.has_ended(session_id))

    history = (await client.history(session_id)).document
    assert history["messages"][-1]["status"] == "failed"
    assert (history["turn"]["status"], history["turn"]["error"]) == ("failed", "model_failed")
