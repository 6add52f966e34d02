"""A process is killed mid-stream, or replaced by a deployment. After a kill, followers in other
processes see the reply end as interrupted, and the next writer settles the turn with all pieces
except the last batch. A deployment loses nothing.
"""

import asyncio

import pytest

from tests.support.event_stream import kinds, text_of
from tests.support.fleet import Fleet, client_of
from tests.support.instructed_model import instruction, reply_to
from tests.support.native_client import NativeClient, eventually

READ_PIECES = 30
LAST_BATCH = 10
"""More pieces than are sent within a tenth of a second."""


async def killed_mid_stream(fleet: Fleet, client: NativeClient, message: str, pieces: int) -> str:
    """Start a turn in a new process and kill it after ``pieces`` pieces; returns the session id."""
    victim = await fleet.start()
    other_client = client_of(victim, client)
    async with other_client.streaming(message, key="once") as live:
        seen = await live.until("text-delta")
        while len(text_of(seen).split()) < pieces:
            seen += await live.until("text-delta")
        victim.kill()
    client.cookie = other_client.cookie
    return str(seen[0].document["sessionId"])


async def test_the_next_writer_settles_with_all_pieces_except_the_last_batch(
    fleet: Fleet,
) -> None:
    client = client_of(await fleet.start())
    session_id = await killed_mid_stream(fleet, client, instruction("dead", 500, 20), READ_PIECES)
    await eventually(lambda: is_settled(client, session_id))
    messages = await client.transcript(session_id)

    assert reply_to("dead", 500).startswith(messages[1][1])
    assert len(messages[1][1].split()) >= READ_PIECES - LAST_BATCH
    assert messages[-1] == ("assistant", reply_to("alive", 2))
    assert fleet.model.requests == {"dead": 1, "alive": 1}


async def is_settled(client: NativeClient, session_id: str) -> bool:
    answer = await client.send(instruction("alive", 2), session_id)
    if answer.status == 409:
        await asyncio.sleep(0.2)
    return answer.status == 200


async def test_a_follower_in_another_process_gets_an_interrupted_end(fleet: Fleet) -> None:
    client = client_of(await fleet.start())
    session_id = await killed_mid_stream(fleet, client, instruction("dead", 500, 20), READ_PIECES)
    async with client.resume(session_id) as resumed:
        assert resumed.status == 200
        answer = await resumed.whole()

    assert kinds(answer.events)[-1] == "error"
    assert reply_to("dead", 500).startswith(text_of(answer.events))
    assert len(text_of(answer.events).split()) >= READ_PIECES - LAST_BATCH


async def test_a_dead_turn_can_be_interrupted_without_waiting(fleet: Fleet) -> None:
    client = client_of(await fleet.start())
    session_id = await killed_mid_stream(fleet, client, instruction("dead", 500, 20), READ_PIECES)
    answer = await client.send(instruction("alive", 2), session_id, onBusy="interrupt")

    assert text_of(answer.events) == reply_to("alive", 2)


async def test_a_retry_with_the_same_key_replays_the_stored_pieces_without_the_model(
    fleet: Fleet,
) -> None:
    client = client_of(await fleet.start())
    message = instruction("dead", 500, 20)
    session_id = await killed_mid_stream(fleet, client, message, READ_PIECES)

    async def is_replayed() -> bool:
        answer = await client.post("/api/chat", {"message": message}, idempotency_key="once")
        assert answer.session_id == session_id
        return kinds(answer.events)[-3] == "abort"

    await eventually(is_replayed)

    assert fleet.model.requests == {"dead": 1}


async def test_a_deployment_loses_nothing_and_followers_continue_elsewhere(fleet: Fleet) -> None:
    old, new = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(old)
    async with client.streaming(instruction("deployed", 60, 20)) as live:
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        old.terminate()
        async with client_of(new, client).resume(session_id) as resumed:
            followed = await resumed.whole()
        whole = await live.whole()
    ended = await old.wait()

    assert text_of(whole.events) == text_of(followed.events) == reply_to("deployed", 60)
    assert ended.code == 0
    assert (await client_of(new, client).transcript(session_id))[-1][1] == reply_to("deployed", 60)


@pytest.mark.parametrize("grace", ["0"])
async def test_a_deployment_without_grace_interrupts_cleanly(fleet: Fleet, grace: str) -> None:
    old, new = await asyncio.gather(fleet.start(PRIVITY_SHUTDOWN_SECONDS=grace), fleet.start())
    client = client_of(old)
    async with client.streaming(instruction("deployed", 500, 20)) as live:
        seen = await live.until("text-delta")
        old.terminate()
        whole = await live.whole()
    session_id = str(seen[0].document["sessionId"])
    returning = client_of(new, client)

    assert kinds(whole.events)[-3] == "abort"
    assert (await returning.turn(session_id))["status"] == "interrupted"
    assert (await returning.transcript(session_id))[-1] == ("assistant", text_of(whole.events))
