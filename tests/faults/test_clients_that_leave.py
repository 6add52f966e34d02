"""The client disconnects mid-stream. When it returns, it gets the finished reply or the rest of the
stream, from any process.
"""

import asyncio
from collections import Counter

from tests.support.event_stream import Event, cursors, text_of
from tests.support.fleet import Fleet, client_of
from tests.support.http_client import LiveAnswer
from tests.support.instructed_model import instruction, reply_to
from tests.support.native_client import eventually

PIECES = 200
RELOADS = 100


async def session_of(live: LiveAnswer) -> str:
    return str((await live.until("text-delta"))[0].document["sessionId"])


async def test_a_client_that_returns_late_finds_the_reply_in_any_process(
    fleet: Fleet,
) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(one)
    async with client.streaming(instruction("left", 20, 5)) as live:
        session_id = await session_of(live)
    returning = client_of(other, client)
    await eventually(lambda: returning.has_ended(session_id))

    assert (await returning.transcript(session_id))[-1] == ("assistant", reply_to("left", 20))
    assert fleet.model.requests["left"] == 1


async def test_a_client_that_returns_early_gets_the_rest_from_any_process(
    fleet: Fleet,
) -> None:
    one, other = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(one)
    async with client.streaming(instruction("rest", 60, 20)) as live:
        seen = await live.until("text-delta")
    session_id = str(seen[0].document["sessionId"])
    async with client_of(other, client).resume(session_id, cursors(seen)[-1]) as resumed:
        rest = (await resumed.whole()).events

    assert text_of(seen) + text_of(rest) == reply_to("rest", 60)


async def test_a_browser_reloaded_every_two_pieces_shows_the_same_text(
    fleet: Fleet,
) -> None:
    processes = await asyncio.gather(fleet.start(), fleet.start())
    client = client_of(processes[0])
    async with client.streaming(instruction("reload", PIECES, 15)) as live:
        seen, reloads = await live.until("text-delta"), 0
        session_id = str(seen[0].document["sessionId"])
        while True:
            client = client_of(processes[reloads % 2], client)
            async with client.resume(session_id, cursors(seen)[-1]) as again:
                if again.status != 200:
                    break
                seen += await two_pieces(again)
            reloads += 1
        whole = text_of((await live.whole()).events)
    [_, (_, shown)] = await client.transcript(session_id)

    # A finished reply is shown from the history, which starts with the text already seen.
    assert whole == reply_to("reload", PIECES) == shown
    assert shown.startswith(text_of(seen))
    assert reloads >= PIECES // 4


async def two_pieces(live: LiveAnswer) -> list[Event]:
    """The events up to the second piece; fewer at the end of the stream."""
    seen: list[Event] = []
    try:
        for _ in range(2):
            seen += await live.until("text-delta")
    except EOFError:
        pass
    return seen


async def test_a_hundred_reloads_during_a_reply_do_not_change_it(fleet: Fleet) -> None:
    client = client_of(await fleet.start())
    async with client.streaming(instruction("hundred", 100, 20)) as live:
        session_id = await session_of(live)
        statuses: Counter[int] = Counter()
        for _ in range(RELOADS):
            async with client.resume(session_id) as again:
                statuses[again.status] += 1
        whole = await live.whole()

    assert set(statuses) <= {200, 204}
    # On a slow machine the last reloads may come after the end of the reply.
    assert statuses[200] > RELOADS / 2
    assert text_of(whole.events) == reply_to("hundred", 100)
    assert fleet.model.requests["hundred"] == 1
