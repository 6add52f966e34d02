"""The same request twice is one turn if it has an Idempotency-Key."""

import asyncio

from tests.support.event_stream import text_of, without_padding
from tests.support.fake_model import FakeModel
from tests.support.http_client import JSON, Answer
from tests.support.native_client import NativeClient, eventually

KEY = "a-key-of-mine"


async def keyed(client: NativeClient, text: str, session_id: str | None = None) -> Answer:
    named = {} if session_id is None else {"sessionId": session_id}
    body = {"message": text, **named}
    return await client.post("/api/chat", body, idempotency_key=KEY)


async def test_a_retry_joins_the_running_reply(client: NativeClient, fake_model: FakeModel) -> None:
    await client.get_key()
    async with client.streaming("Hello?", key=KEY) as live:
        await live.event()
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        await live.until("text-delta")
        async with client.streaming("Hello?", key=KEY) as retry:
            await retry.until("text-delta")
            model_reply.send_text("lo")
            model_reply.finish()
            first, second = await live.whole(), await retry.whole()

    assert without_padding(first.events)[:-1] == without_padding(second.events)[:-1]
    assert text_of(second.events) == "Hello"
    assert fake_model.call_count == 1
    assert len(await client.transcript(first.session_id)) == 2


async def test_a_retry_after_the_end_replays_the_same_reply(
    client: NativeClient, fake_model: FakeModel
) -> None:
    await client.get_key()
    async with client.streaming("Hello?", key=KEY) as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hello")
        model_reply.finish()
        first = await live.whole()

    second = await keyed(client, "Hello?")

    assert without_padding(second.events)[:-1] == without_padding(first.events)[:-1]
    assert fake_model.call_count == 1


async def test_two_simultaneous_requests_are_one_turn(
    client: NativeClient, fake_model: FakeModel
) -> None:
    await client.get_key()
    both = [asyncio.create_task(keyed(client, "Hello?")) for _ in range(2)]
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hello")
    model_reply.finish()

    first, second = [await answer for answer in both]
    assert first.session_id == second.session_id
    assert fake_model.call_count == 1


async def test_the_same_key_with_another_body_is_rejected(echo_client: NativeClient) -> None:
    await echo_client.get_key()
    first = await keyed(echo_client, "Hello?")

    second = await keyed(echo_client, "Something else")

    assert (second.status, second.code) == (422, "idempotency_key_reused")
    assert len(await echo_client.transcript(first.session_id)) == 2


async def test_the_same_key_with_another_body_is_rejected_within_a_conversation(
    echo_client: NativeClient,
) -> None:
    session_id = (await echo_client.send("Before")).session_id
    await keyed(echo_client, "Hello?", session_id)

    again = await keyed(echo_client, "Hello?", session_id)
    other = await keyed(echo_client, "Something else", session_id)

    assert again.status == 200
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert len(await echo_client.transcript(session_id)) == 4


async def test_the_key_of_a_first_message_is_spent_when_the_conversation_continues(
    echo_client: NativeClient,
) -> None:
    await echo_client.get_key()
    first = await keyed(echo_client, "Hello?")
    headers = {"idempotency_key": "another-key"}
    body = {"message": "And?", "sessionId": first.session_id}
    await echo_client.post("/api/chat", body, **headers)

    retry = await keyed(echo_client, "Hello?")

    assert (retry.status, retry.code) == (422, "request_already_answered")
    assert len(await echo_client.transcript(first.session_id)) == 4


async def test_a_retry_of_a_first_message_is_never_added_to_a_longer_conversation(
    echo_client: NativeClient,
) -> None:
    await echo_client.get_key()
    first = await keyed(echo_client, "Hello?")
    await echo_client.send("And?", first.session_id)
    before = await echo_client.transcript(first.session_id)

    await keyed(echo_client, "Hello?")

    assert await echo_client.transcript(first.session_id) == before


async def test_two_users_may_use_the_same_key(echo_client: NativeClient) -> None:
    other = NativeClient(echo_client.url)
    await echo_client.get_key()
    await other.get_key()

    first, second = await keyed(echo_client, "Mine"), await keyed(other, "Yours")

    assert [first.status, second.status] == [200, 200]
    assert first.session_id != second.session_id


async def test_a_failure_before_the_first_piece_releases_the_key(
    client: NativeClient, fake_model: FakeModel
) -> None:
    await client.get_key()
    async with client.streaming("Hello?", key=KEY) as live:
        session_id = (await live.event()).document["sessionId"]
        (await fake_model.next_reply()).fail()
        await live.whole()

    async with client.streaming("Hello?", key=KEY) as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hello")
        model_reply.finish()
        answer = await live.whole()

    assert answer.session_id == session_id
    assert text_of(answer.events) == "Hello"
    assert await client.transcript(session_id) == [("user", "Hello?"), ("assistant", "Hello")]


async def test_a_failure_after_the_first_piece_keeps_the_key(
    client: NativeClient, fake_model: FakeModel
) -> None:
    await client.get_key()
    async with client.streaming("Hello?", key=KEY) as live:
        session_id = (await live.event()).document["sessionId"]
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        model_reply.fail()
        await eventually(lambda: client.has_ended(session_id))

    retry = await keyed(client, "Hello?")

    assert text_of(retry.events) == "Hel"
    assert not retry.clean
    assert fake_model.call_count == 1


async def test_a_retried_regeneration_runs_once(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Hello?")).session_id
    where = f"/api/chat/{session_id}/regenerate"
    first = (await echo_client.post(where, {}, idempotency_key=KEY, **JSON)).document

    second = (await echo_client.post(where, {}, idempotency_key=KEY, **JSON)).document
    third = await echo_client.post(where, {"onBusy": "interrupt"}, idempotency_key=KEY)

    assert first["turnId"] == second["turnId"]
    assert third.code == "idempotency_key_reused"
