"""Two tabs or requests at once, and a conversation that disappears mid-turn, in two processes."""

import asyncio

import pytest
from redis.asyncio import Redis

from tests.support.event_stream import kinds, text_of
from tests.support.fleet import Fleet, client_of
from tests.support.instructed_model import instruction, reply_to
from tests.support.redis_servers import RedisProcess

REQUESTS = 8


async def test_one_of_two_tabs_is_refused_and_both_have_the_same_history(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    first = client_of(one)
    async with first.streaming(instruction("first", 40, 20)) as live:
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        second = client_of(other, first)
        refused = await second.send(instruction("second", 2), session_id)
        turn = await first.turn(session_id)
        whole = await live.whole()

    assert (refused.status, refused.code) == (409, "turn_in_progress")
    assert refused.document["turnId"] == turn["id"]
    assert text_of(whole.events) == reply_to("first", 40)
    assert await first.transcript(session_id) == await second.transcript(session_id)


async def test_a_second_tab_can_interrupt_the_first(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    first = client_of(one)
    async with first.streaming(instruction("first", 400, 20)) as live:
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        second = client_of(other, first)
        answer = await second.send(instruction("second", 2), session_id, onBusy="interrupt")
        interrupted = await live.whole()
    messages = await first.transcript(session_id)

    assert kinds(interrupted.events)[-3] == "abort"
    assert text_of(answer.events) == reply_to("second", 2)
    assert [text for _, text in messages] == [
        instruction("first", 400, 20),
        text_of(interrupted.events),
        instruction("second", 2),
        reply_to("second", 2),
    ]


async def test_a_stop_reaches_the_process_that_runs_the_turn(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(one)
    async with client.streaming(instruction("stopped", 400, 20)) as live:
        seen = await live.until("text-delta")
        stopped = await client_of(other, client).stop(str(seen[0].document["sessionId"]))
        whole = await live.whole()

    assert stopped["stopped"] is True
    assert kinds(whole.events)[-3] == "abort"


@pytest.mark.parametrize("is_first", [True, False])
async def test_the_same_request_in_both_processes_is_one_turn_and_one_model_request(
    fleet: Fleet, *, is_first: bool
) -> None:
    processes = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(processes[0])
    key = (await client.post("/api/client-key", {})).document["clientKey"]
    headers = {"authorization": f"Bearer {key}", "idempotency_key": "the-same"}
    body: dict[str, object] = {"message": instruction("once", 20, 10)}
    if not is_first:
        before = await client.post("/api/chat", {"message": instruction("zero", 1)}, **headers)
        body["sessionId"] = before.session_id
        headers["idempotency_key"] = "another"
    answers = await asyncio.gather(
        *(client_of(processes[n % 2]).post("/api/chat", body, **headers) for n in range(REQUESTS))
    )

    assert {text_of(answer.events) for answer in answers} == {reply_to("once", 20)}
    assert len({answer.session_id for answer in answers}) == 1
    assert fleet.model.requests["once"] == 1


@pytest.mark.parametrize("how", ["forgotten", "evicted"])
async def test_a_conversation_that_is_gone_mid_turn_stays_gone(
    fleet: Fleet, redis: RedisProcess, how: str
) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(one)
    async with Redis.from_url(redis.url) as direct:
        async with client.streaming(instruction("gone", 60, 20)) as live:
            seen = await live.until("text-delta")
            session_id = str(seen[0].document["sessionId"])
            if how == "forgotten":
                await client_of(other, client).delete(f"/api/chat?sessionId={session_id}")
            else:
                await direct.delete(f"conversation:state:{session_id}")
            whole = await live.whole()
        left = await direct.keys("conversation:state:*")

    assert whole.events[-1].document["code"] == "conversation_gone"
    assert not whole.clean
    assert left == []
    assert (await client.history(session_id)).status == 404


async def test_an_evicted_log_is_written_again(fleet: Fleet, redis: RedisProcess) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(one)
    async with (
        Redis.from_url(redis.url) as direct,
        client.streaming(instruction("back", 60, 20)) as live,
    ):
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        async with client_of(other, client).resume(session_id) as resumed:
            await resumed.until("text-delta")
            await direct.delete(f"{{conversation:state:{session_id}}}:turn")
            followed = await resumed.whole()
        whole = await live.whole()

    assert text_of(followed.events) == text_of(whole.events) == reply_to("back", 60)


async def test_a_replaced_message_is_gone_from_redis(fleet: Fleet, redis: RedisProcess) -> None:
    client = client_of(await fleet.start())
    first = await client.send(instruction("replaced", 30))
    session_id = first.session_id
    async with Redis.from_url(redis.url) as direct:
        key = f"conversation:state:{session_id}"
        before = await direct.lrange(key, 0, -1)
        body = {"message": instruction("short", 1)}
        await client.post(f"/api/chat/{session_id}/regenerate", body)
        after = await direct.lrange(key, 0, -1)

    assert not set(before) & set(after)
    assert sum(map(len, after)) < sum(map(len, before))
    assert await client.transcript(session_id) == [
        ("user", instruction("short", 1)),
        ("assistant", reply_to("short", 1)),
    ]
