"""Rows: our process is killed mid-stream; a deploy. Followers elsewhere get an interrupted end, the
next writer settles, pieces are kept up to the last batch; a deploy keeps everything.
"""

import asyncio

import pytest

from tests.support.event_stream import kinds, text_of
from tests.support.fleet import Fleet, meeting
from tests.support.native_client import NativeClient, eventually
from tests.support.ordered_model import an_order, told

SLOWLY = 30
LAST_BATCH = 10
"""More pieces than leave within a tenth of a second."""


async def killed_mid_stream(fleet: Fleet, client: NativeClient, order: str, pieces: int) -> str:
    """What somebody read until the process was killed; the session is the person's only one."""
    victim = await fleet.one()
    met = meeting(victim, client)
    async with met.streaming(order, key="once") as live:
        seen = await live.until("text-delta")
        while len(text_of(seen).split()) < pieces:
            seen += await live.until("text-delta")
        victim.kill()
    client.cookie = met.cookie
    return str(seen[0].document["sessionId"])


async def test_the_next_writer_settles_with_all_pieces_but_those_of_the_last_batch(
    fleet: Fleet,
) -> None:
    client = meeting(await fleet.one())
    session_id = await killed_mid_stream(fleet, client, an_order("dead", 500, 20), SLOWLY)
    await eventually(lambda: is_settled(client, session_id))
    said = await client.transcript(session_id)

    assert told("dead", 500).startswith(said[1][1])
    assert len(said[1][1].split()) >= SLOWLY - LAST_BATCH
    assert said[-1] == ("assistant", told("alive", 2))
    assert fleet.ordered_model.asked == {"dead": 1, "alive": 1}


async def is_settled(client: NativeClient, session_id: str) -> bool:
    answer = await client.send(an_order("alive", 2), session_id)
    if answer.status == 409:
        await asyncio.sleep(0.2)
    return answer.status == 200


async def test_a_follower_in_another_process_gets_an_interrupted_end(fleet: Fleet) -> None:
    client = meeting(await fleet.one())
    session_id = await killed_mid_stream(fleet, client, an_order("dead", 500, 20), SLOWLY)
    async with client.resume(session_id) as resumed:
        assert resumed.status == 200
        answer = await resumed.whole()

    assert kinds(answer.events)[-1] == "error"
    assert told("dead", 500).startswith(text_of(answer.events))
    assert len(text_of(answer.events).split()) >= SLOWLY - LAST_BATCH


async def test_who_interrupts_a_dead_turn_waits_for_nobody_else(fleet: Fleet) -> None:
    client = meeting(await fleet.one())
    session_id = await killed_mid_stream(fleet, client, an_order("dead", 500, 20), SLOWLY)
    answer = await client.send(an_order("alive", 2), session_id, onBusy="interrupt")

    assert text_of(answer.events) == told("alive", 2)


async def test_a_retry_with_the_same_key_plays_what_was_kept_and_asks_nobody_again(
    fleet: Fleet,
) -> None:
    client = meeting(await fleet.one())
    order = an_order("dead", 500, 20)
    session_id = await killed_mid_stream(fleet, client, order, SLOWLY)

    async def has_been_settled() -> bool:
        answer = await client.post("/api/chat", {"message": order}, idempotency_key="once")
        assert answer.session_id == session_id
        return kinds(answer.events)[-3] == "abort"

    await eventually(has_been_settled)

    assert fleet.ordered_model.asked == {"dead": 1}


async def test_a_deploy_hands_followers_over_and_loses_nothing(fleet: Fleet) -> None:
    old, new = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(old)
    async with client.streaming(an_order("deploy", 60, 20)) as live:
        seen = await live.until("text-delta")
        session_id = str(seen[0].document["sessionId"])
        old.terminate()
        async with meeting(new, client).resume(session_id) as resumed:
            followed = await resumed.whole()
        whole = await live.whole()
    ended = await old.ended()

    assert text_of(whole.events) == text_of(followed.events) == told("deploy", 60)
    assert ended.code == 0
    assert (await meeting(new, client).transcript(session_id))[-1][1] == told("deploy", 60)


@pytest.mark.parametrize("grace", ["0"])
async def test_a_deploy_without_grace_interrupts_cleanly(fleet: Fleet, grace: str) -> None:
    old, new = await asyncio.gather(fleet.one(PRIVITY_SHUTDOWN_SECONDS=grace), fleet.one())
    client = meeting(old)
    async with client.streaming(an_order("deploy", 500, 20)) as live:
        seen = await live.until("text-delta")
        old.terminate()
        whole = await live.whole()
    session_id = str(seen[0].document["sessionId"])
    met = meeting(new, client)

    assert kinds(whole.events)[-3] == "abort"
    assert (await met.turn(session_id))["status"] == "interrupted"
    assert (await met.transcript(session_id))[-1] == ("assistant", text_of(whole.events))
