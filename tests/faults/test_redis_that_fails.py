"""Rows: Redis away mid-stream, Redis restarted, a frozen Redis, a cut and a slow network."""

import asyncio
import os
import signal
from asyncio import StreamReader, StreamWriter
from contextlib import AsyncExitStack

from tests.support.event_stream import text_of
from tests.support.fast_serve import POLICY
from tests.support.fleet import Fleet, a_fleet, meeting
from tests.support.http_client import LiveAnswer
from tests.support.native_client import NativeClient, eventually
from tests.support.ordered_model import OrderedModel, an_order, told
from tests.support.proxies import listening, proxy_to
from tests.support.redis_servers import RedisProcess

LIVE_TURNS = 50
A_FREEZE = POLICY.dead_after + 2 * POLICY.heartbeat


async def begun(live: LiveAnswer) -> str:
    """The session, once the reply has begun."""
    return str((await live.until("text-delta"))[0].document["sessionId"])


async def test_a_reply_goes_on_while_redis_is_away_and_is_saved_in_time(
    fleet: Fleet, redis: RedisProcess
) -> None:
    client = meeting(await fleet.one())
    async with client.streaming(an_order("away", 40, 20)) as live:
        session_id = await begun(live)
        redis.kill()
        while "away.40 " not in (await live.event()).data:
            pass
        # Longer than any single command is waited for.
        await asyncio.sleep(2.5)
        redis.start()
        answer = await live.whole()

    assert text_of(answer.events) == told("away", 40)
    assert answer.clean
    assert (await client.transcript(session_id))[-1][1] == told("away", 40)


async def test_a_reply_that_cannot_be_saved_says_so_and_is_in_the_callers_hands(
    fleet: Fleet, redis: RedisProcess
) -> None:
    client = meeting(await fleet.one())
    async with client.streaming(an_order("lost", 40, 20)) as live:
        session_id = await begun(live)
        redis.kill()
        answer = await live.whole()
    redis.start()
    await eventually(lambda: takes_turns(client, session_id))

    assert text_of(answer.events) == told("lost", 40)
    assert answer.events[-1].document["code"] == "reply_not_saved"
    assert not answer.clean
    assert (await client.transcript(session_id))[0] == ("user", an_order("lost", 40, 20))


async def takes_turns(client: NativeClient, session_id: str) -> bool:
    answer = await client.say(an_order("next", 1), session_id)
    if answer.status != 200:
        await asyncio.sleep(0.1)
    return answer.status == 200


async def test_a_frozen_redis_makes_no_live_turn_look_dead(
    fleet: Fleet, redis: RedisProcess
) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    people = [meeting(one) for _ in range(LIVE_TURNS)]
    async with AsyncExitStack() as stack:
        order = an_order("live", 60, 200)
        talking = [await stack.enter_async_context(client.streaming(order)) for client in people]
        sessions = await asyncio.gather(*map(begun, talking))
        # Nothing of theirs may be on its way: it would be their sign of life after the thaw.
        os.kill(one.pid, signal.SIGSTOP)
        redis.signal(signal.SIGSTOP)
        # Time that Redis itself has to see pass.
        await asyncio.sleep(A_FREEZE.total_seconds())
        redis.signal(signal.SIGCONT)
        intruders = [meeting(other, client) for client in people]
        refused = await asyncio.gather(*map(refusal, intruders, sessions))
        os.kill(one.pid, signal.SIGCONT)
        answers = await asyncio.gather(*(live.whole() for live in talking))

    assert set(refused) == {"turn_in_progress"}
    assert [answer.events[-1].data for answer in answers if not answer.clean] == []
    assert {text_of(answer.events) for answer in answers} == {told("live", 60)}


async def refusal(intruder: NativeClient, session_id: str) -> str:
    """Why another turn is refused, once Redis answers again."""
    while True:
        answer = await intruder.say(an_order("intruder", 1), session_id)
        if answer.status != 503:
            return answer.code if answer.status == 409 else f"taken: {answer.status}"


async def test_a_cut_network_loses_nothing(
    redis: RedisProcess, ordered_model: OrderedModel
) -> None:
    async with proxy_to(redis.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with a_fleet(url, ordered_model) as fleet:
            client = meeting(await fleet.one())
            async with client.streaming(an_order("cut", 60, 20)) as live:
                session_id = await begun(live)
                for _ in range(10):
                    proxy.cut()
                    await live.until("text-delta")
                answer = await live.whole()
            said = await client.transcript(session_id)

    assert text_of(answer.events) == told("cut", 60)
    assert said[-1] == ("assistant", told("cut", 60))


async def test_a_slow_network_delays_and_loses_nothing(
    redis: RedisProcess, ordered_model: OrderedModel
) -> None:
    async def slowly(reader: StreamReader, writer: StreamWriter) -> None:
        upstream, sending = await asyncio.open_connection("127.0.0.1", redis.port)
        try:
            await asyncio.gather(_delayed(reader, sending), _delayed(upstream, writer))
        finally:
            sending.close()
            writer.close()

    async with (
        listening(slowly) as port,
        a_fleet(f"redis://127.0.0.1:{port}/0", ordered_model) as fleet,
    ):
        one, other = await asyncio.gather(fleet.one(), fleet.one())
        client = meeting(one)
        async with client.streaming(an_order("slow", 150, 30)) as live:
            session_id = await begun(live)
            async with meeting(other, client).resume(session_id) as resumed:
                followed = await resumed.whole()
            answer = await live.whole()
        said = await client.transcript(session_id)

    assert text_of(answer.events) == text_of(followed.events) == told("slow", 150)
    assert said[-1] == ("assistant", told("slow", 150))


async def _delayed(reader: StreamReader, writer: StreamWriter) -> None:
    while data := await reader.read(65_536):
        await asyncio.sleep(0.1)
        writer.write(data)
    writer.close()
