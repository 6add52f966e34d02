"""What a commit costs in a conversation of 2,000 messages, over what it costs in one of 20.

    python benchmarks/commit_growth.py [ROUNDS]

One caller. Both conversations take eight turns in every round, of which one merges frames, and go
back to where they were. Timed are the commits alone: ``update`` with begin and with finish, each on
the conversation in the caller's hands, of which the newest 200 messages are loaded, as a use case
does.
"""
# ruff: noqa: INP001 - a script

import statistics
import sys
import time
from contextlib import AsyncExitStack

import uvloop
from chats import EXCHANGES, chats
from keeping import AT_HAND, Talk, sealed_store
from peers import agents_redis
from redis.asyncio import Redis
from servers import redis_server, to_the_first_core

from domain.model.identifiers import ConversationRef

SIZES = (20, 2_000)
TURNS = 8
LONGEST = 100
"""Characters of a message: with longer ones no conversation may have 2,000."""


def _exchange(number: int) -> tuple[str, str]:
    question, reply = chats()[1].exchanges[number % EXCHANGES]
    at = number * 7 % 300
    return question[:LONGEST], reply[at : at + LONGEST] or reply[:LONGEST]


async def _grown(talk: Talk, messages: int) -> str:
    """Its key, once it has so many messages."""
    for number in range(messages // 2):
        await talk.take_turn(*_exchange(number))
    return f"conversation:state:{talk.session_id}"


Took = tuple[float, float]
"""Microseconds of one commit: by the clock, and of this process's CPU."""


async def _timed(talk: Talk) -> Took:
    """On average of eight turns."""
    known = await talk.store.load(ConversationRef(talk.owner, talk.session_id), AT_HAND)
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(TURNS):
        known = await talk.continued(known, *_exchange(number))
    each = 1e6 / TURNS / 2
    return (time.perf_counter() - began) * each, (time.process_time() - cpu) * each


async def _rounds(redis: "Redis", talks: dict[int, Talk], rounds: int) -> dict[int, list[Took]]:
    keys = {size: await _grown(talk, size) for size, talk in talks.items()}
    for key in keys.values():
        await redis.copy(key, f"begun:{key}")
    found: dict[int, list[Took]] = {size: [] for size in SIZES}
    for number in range(rounds + 1):
        for size in SIZES if number % 2 else SIZES[::-1]:
            await redis.copy(f"begun:{keys[size]}", keys[size], replace=True)
            found[size].append(await _timed(talks[size]))
    return {size: times[1:] for size, times in found.items()}


async def main(rounds: str = "100") -> None:
    async with AsyncExitStack() as new_conversation:
        port = new_conversation.enter_context(redis_server())
        store = await new_conversation.enter_async_context(sealed_store(port))
        redis = await new_conversation.enter_async_context(agents_redis(port, 0))
        to_the_first_core()
        talks = {size: Talk(store, "en") for size in SIZES}
        found = await _rounds(redis, talks, int(rounds))
    print(
        "| | 20 messages | 2,000 messages | ratio | quartiles | wanted |\n|---|---|---|---|---|---|"
    )
    for what, at in (("µs a commit", 0), ("of them CPU of the client", 1)):
        print(_row(what, *([took[at] for took in found[size]] for size in SIZES)))


def _row(what: str, small: list[float], large: list[float]) -> str:
    low, middle, high = statistics.quantiles(
        [two / one for one, two in zip(small, large, strict=True)], n=4
    )
    cells = (f"{statistics.median(one):,.0f}" for one in (small, large))
    return f"| {what} | {' | '.join(cells)} | {middle:.2f} | {low:.2f} to {high:.2f} | 1.3 |"


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
