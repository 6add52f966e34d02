"""Rows: two tabs at once; the same request twice; a conversation forgotten or evicted mid-turn.

Each in two processes.
"""

import asyncio

import pytest
from redis.asyncio import Redis

from tests.support.event_stream import kinds, text_of
from tests.support.fleet import Fleet, meeting
from tests.support.ordered_model import an_order, told
from tests.support.redis_servers import RedisProcess

BOTH = 8


async def test_one_of_two_tabs_is_refused_and_both_show_the_same(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    first = meeting(one)
    async with first.streaming(an_order("first", 40, 20)) as live:
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        second = meeting(other, first)
        refused = await second.send(an_order("second", 2), session_id)
        turn = await first.turn(session_id)
        whole = await live.whole()

    assert (refused.status, refused.code) == (409, "turn_in_progress")
    assert refused.document["turnId"] == turn["id"]
    assert text_of(whole.events) == told("first", 40)
    assert await first.transcript(session_id) == await second.transcript(session_id)


async def test_a_second_tab_may_interrupt_the_first(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    first = meeting(one)
    async with first.streaming(an_order("first", 400, 20)) as live:
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        second = meeting(other, first)
        answer = await second.send(an_order("second", 2), session_id, onBusy="interrupt")
        interrupted = await live.whole()
    said = await first.transcript(session_id)

    assert kinds(interrupted.events)[-3] == "abort"
    assert text_of(answer.events) == told("second", 2)
    assert [text for _, text in said] == [
        an_order("first", 400, 20),
        text_of(interrupted.events),
        an_order("second", 2),
        told("second", 2),
    ]


async def test_a_stop_reaches_the_process_that_writes(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(one)
    async with client.streaming(an_order("stopped", 400, 20)) as live:
        seen = await live.until("text-delta")
        stopped = await meeting(other, client).stop(str(seen[0].document["sessionId"]))
        whole = await live.whole()

    assert stopped["stopped"] is True
    assert kinds(whole.events)[-3] == "abort"


@pytest.mark.parametrize("is_first", [True, False])
async def test_the_same_request_in_both_processes_is_one_turn_and_one_bill(
    fleet: Fleet, *, is_first: bool
) -> None:
    processes = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(processes[0])
    key = (await client.post("/api/client-key", {})).document["clientKey"]
    program = {"authorization": f"Bearer {key}", "idempotency_key": "the-same"}
    body: dict[str, object] = {"message": an_order("once", 20, 10)}
    if not is_first:
        before = await client.post("/api/chat", {"message": an_order("zero", 1)}, **program)
        body["sessionId"] = before.session_id
        program["idempotency_key"] = "another"
    answers = await asyncio.gather(
        *(meeting(processes[n % 2]).post("/api/chat", body, **program) for n in range(BOTH))
    )

    assert {text_of(answer.events) for answer in answers} == {told("once", 20)}
    assert len({answer.session_id for answer in answers}) == 1
    assert fleet.ordered_model.asked["once"] == 1


@pytest.mark.parametrize("how", ["forgotten", "evicted"])
async def test_what_is_gone_mid_turn_stays_gone(
    fleet: Fleet, redis: RedisProcess, how: str
) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(one)
    async with Redis.from_url(redis.url) as looking:
        async with client.streaming(an_order("gone", 60, 20)) as live:
            seen = await live.until("text-delta")
            session_id = str(seen[0].document["sessionId"])
            if how == "forgotten":
                await meeting(other, client).delete(f"/api/chat?sessionId={session_id}")
            else:
                await looking.delete(f"conversation:state:{session_id}")
            whole = await live.whole()
        left = [key for key in await looking.keys("*") if b"turn" not in key]

    assert whole.events[-1].document["code"] == "conversation_gone"
    assert not whole.clean
    assert left == []
    assert (await client.history(session_id)).status == 404


async def test_a_log_that_is_evicted_comes_back(fleet: Fleet, redis: RedisProcess) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(one)
    async with (
        Redis.from_url(redis.url) as looking,
        client.streaming(an_order("back", 60, 20)) as live,
    ):
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        async with meeting(other, client).resume(session_id) as resumed:
            await resumed.until("text-delta")
            await looking.delete(f"{{conversation:state:{session_id}}}:turn")
            followed = await resumed.whole()
        whole = await live.whole()

    assert text_of(followed.events) == text_of(whole.events) == told("back", 60)


async def test_what_is_replaced_is_gone_from_redis(fleet: Fleet, redis: RedisProcess) -> None:
    client = meeting(await fleet.one())
    first = await client.send(an_order("replaced", 30))
    session_id = first.session_id
    async with Redis.from_url(redis.url) as looking:
        key = f"conversation:state:{session_id}"
        before = await looking.lrange(key, 0, -1)
        body = {"message": an_order("short", 1)}
        await client.post(f"/api/chat/{session_id}/regenerate", body)
        after = await looking.lrange(key, 0, -1)

    assert not set(before) & set(after)
    assert sum(map(len, after)) < sum(map(len, before))
    assert await client.transcript(session_id) == [
        ("user", an_order("short", 1)),
        ("assistant", told("short", 1)),
    ]
