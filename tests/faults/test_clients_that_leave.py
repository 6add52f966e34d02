"""Row: the client goes away mid-stream. On return: the finished reply, or the rest of the stream,
from any process; everything is kept.
"""

import asyncio
from collections import Counter

from tests.support.event_stream import Event, cursors, text_of
from tests.support.fleet import Fleet, meeting
from tests.support.http_client import LiveAnswer
from tests.support.native_client import eventually
from tests.support.ordered_model import an_order, told

PIECES = 200
RELOADS = 100


async def session_of(live: LiveAnswer) -> str:
    return str((await live.until("text-delta"))[0].document["sessionId"])


async def test_who_returns_after_the_reply_finds_it_whole_in_any_process(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(one)
    async with client.streaming(an_order("left", 20, 5)) as live:
        session_id = await session_of(live)
    returned = meeting(other, client)
    await eventually(lambda: returned.has_ended(session_id))

    assert (await returned.transcript(session_id))[-1] == ("assistant", told("left", 20))
    assert fleet.ordered_model.asked["left"] == 1


async def test_who_returns_before_its_end_gets_the_rest_from_any_process(fleet: Fleet) -> None:
    one, other = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(one)
    async with client.streaming(an_order("rest", 60, 20)) as live:
        seen = await live.until("text-delta")
    session_id = str(seen[0].document["sessionId"])
    async with meeting(other, client).resume(session_id, cursors(seen)[-1]) as resumed:
        rest = (await resumed.whole()).events

    assert text_of(seen) + text_of(rest) == told("rest", 60)


async def test_a_browser_reloaded_at_every_second_piece_shows_the_same_text(fleet: Fleet) -> None:
    processes = await asyncio.gather(fleet.one(), fleet.one())
    client = meeting(processes[0])
    async with client.streaming(an_order("reload", PIECES, 15)) as live:
        seen, reloads = await live.until("text-delta"), 0
        session_id = str(seen[0].document["sessionId"])
        while True:
            client = meeting(processes[reloads % 2], client)
            async with client.resume(session_id, cursors(seen)[-1]) as again:
                if again.status != 200:
                    break
                seen += await two_pieces(again)
            reloads += 1
        whole = text_of((await live.whole()).events)
    [_, (_, shown)] = await client.transcript(session_id)

    # A reply that is over is shown from the history, which goes on from where the reader was.
    assert whole == told("reload", PIECES) == shown
    assert shown.startswith(text_of(seen))
    assert reloads >= PIECES // 4


async def two_pieces(live: LiveAnswer) -> list[Event]:
    """As much as a page shows before it is reloaded; less at the end."""
    seen: list[Event] = []
    try:
        for _ in range(2):
            seen += await live.until("text-delta")
    except EOFError:
        pass
    return seen


async def test_a_hundred_reloads_during_one_reply_cost_it_nothing(fleet: Fleet) -> None:
    service = await fleet.one()
    client = meeting(service)
    async with client.streaming(an_order("hundred", 100, 20)) as live:
        session_id = await session_of(live)
        met: Counter[int] = Counter()
        for _ in range(RELOADS):
            async with client.resume(session_id) as again:
                met[again.status] += 1
        whole = await live.whole()

    assert set(met) <= {200, 204}
    # On a slow machine the last of them may come when it is over.
    assert met[200] > RELOADS / 2
    assert text_of(whole.events) == told("hundred", 100)
    assert fleet.ordered_model.asked["hundred"] == 1
