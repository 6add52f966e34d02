"""Redis is away mid-stream, restarted or frozen; the network to it is cut or slow."""

import asyncio
import os
import signal
from asyncio import StreamReader, StreamWriter
from contextlib import AsyncExitStack

from tests.support.event_stream import text_of
from tests.support.fast_serve import POLICY
from tests.support.fleet import Fleet, client_of, running_fleet
from tests.support.http_client import LiveAnswer
from tests.support.instructed_model import InstructedModel, instruction, reply_to
from tests.support.native_client import NativeClient, eventually
from tests.support.proxies import listening, proxy_to
from tests.support.redis_servers import RedisProcess

LIVE_TURNS = 50
FREEZE = POLICY.dead_after * 2


async def started_session(live: LiveAnswer) -> str:
    """The session id, once the reply has started."""
    return str((await live.until("text-delta"))[0].document["sessionId"])


async def test_a_reply_continues_while_redis_is_away_and_is_saved_afterwards(
    fleet: Fleet, redis: RedisProcess
) -> None:
    client = client_of(await fleet.start())
    async with client.streaming(instruction("away", 40, 20)) as live:
        session_id = await started_session(live)
        redis.kill()
        while "away.40 " not in (await live.event()).data:
            pass
        # Longer than the timeout of a single command.
        await asyncio.sleep(2.5)
        redis.start()
        answer = await live.whole()

    assert text_of(answer.events) == reply_to("away", 40)
    assert answer.clean
    assert (await client.transcript(session_id))[-1][1] == reply_to("away", 40)


async def test_a_reply_that_cannot_be_saved_is_delivered_and_reported(
    fleet: Fleet, redis: RedisProcess
) -> None:
    client = client_of(await fleet.start())
    async with client.streaming(instruction("lost", 40, 20)) as live:
        session_id = await started_session(live)
        redis.kill()
        answer = await live.whole()
    redis.start()
    await eventually(lambda: accepts_new_turns(client, session_id))

    assert text_of(answer.events) == reply_to("lost", 40)
    assert answer.events[-1].document["code"] == "reply_not_saved"
    assert not answer.clean
    assert (await client.transcript(session_id))[0] == ("user", instruction("lost", 40, 20))


async def accepts_new_turns(client: NativeClient, session_id: str) -> bool:
    answer = await client.send(instruction("next", 1), session_id)
    if answer.status != 200:
        await asyncio.sleep(0.1)
    return answer.status == 200


async def test_a_frozen_redis_makes_no_running_turn_look_dead(
    fleet: Fleet, redis: RedisProcess
) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    clients = [client_of(one) for _ in range(LIVE_TURNS)]
    async with AsyncExitStack() as stack:
        message = instruction("live", 80, 200)
        streams = [await stack.enter_async_context(client.streaming(message)) for client in clients]
        sessions = await asyncio.gather(*map(started_session, streams))
        # Stop the process too: a write of it that Redis receives after the freeze would count as a
        # heartbeat.
        os.kill(one.pid, signal.SIGSTOP)
        redis.signal(signal.SIGSTOP)
        # Redis measures the silence with its own clock.
        await asyncio.sleep(FREEZE.total_seconds())
        redis.signal(signal.SIGCONT)
        intruders = [client_of(other, client) for client in clients]
        refused = await asyncio.gather(*map(refusal, intruders, sessions))
        os.kill(one.pid, signal.SIGCONT)
        answers = await asyncio.gather(*(live.whole() for live in streams))

    assert set(refused) == {"turn_in_progress"}
    assert [answer.events[-1].data for answer in answers if not answer.clean] == []
    assert {text_of(answer.events) for answer in answers} == {reply_to("live", 80)}


async def refusal(intruder: NativeClient, session_id: str) -> str:
    """The code with which another turn is refused, once Redis responds again."""
    while True:
        answer = await intruder.send(instruction("intruder", 1), session_id)
        if answer.status != 503:
            return answer.code if answer.status == 409 else f"accepted: {answer.status}"


async def test_a_cut_network_loses_nothing(
    redis: RedisProcess, instructed_model: InstructedModel
) -> None:
    async with proxy_to(redis.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with running_fleet(url, instructed_model) as fleet:
            client = client_of(await fleet.start())
            async with client.streaming(instruction("cut", 60, 20)) as live:
                session_id = await started_session(live)
                for _ in range(10):
                    proxy.cut()
                    await live.until("text-delta")
                answer = await live.whole()
            messages = await client.transcript(session_id)

    assert text_of(answer.events) == reply_to("cut", 60)
    assert messages[-1] == ("assistant", reply_to("cut", 60))


async def test_a_slow_network_delays_but_loses_nothing(
    redis: RedisProcess, instructed_model: InstructedModel
) -> None:
    async def delay(reader: StreamReader, writer: StreamWriter) -> None:
        upstream, to_redis = await asyncio.open_connection("127.0.0.1", redis.port)
        try:
            await asyncio.gather(
                _forward_delayed(reader, to_redis), _forward_delayed(upstream, writer)
            )
        finally:
            to_redis.close()
            writer.close()

    async with (
        listening(delay) as port,
        running_fleet(f"redis://127.0.0.1:{port}/0", instructed_model) as fleet,
    ):
        one, other = await asyncio.gather(fleet.start(), fleet.start())
        client = client_of(one)
        async with client.streaming(instruction("slow", 150, 30)) as live:
            session_id = await started_session(live)
            async with client_of(other, client).resume(session_id) as resumed:
                followed = await resumed.whole()
            answer = await live.whole()
        messages = await client.transcript(session_id)

    assert text_of(answer.events) == text_of(followed.events) == reply_to("slow", 150)
    assert messages[-1] == ("assistant", reply_to("slow", 150))


async def _forward_delayed(reader: StreamReader, writer: StreamWriter) -> None:
    while data := await reader.read(65_536):
        await asyncio.sleep(0.1)
        writer.write(data)
    writer.close()
