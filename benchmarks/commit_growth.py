"""The cost of a commit in a conversation of 2,000 messages, compared with one of 20.

    python benchmarks/commit_growth.py [ROUNDS]

One caller. In each round both conversations are restored and then take eight turns, one of which
merges frames. Only the commits are timed: the two ``update`` calls of a turn. As in a use case, the
working memory of the conversation is already loaded.
"""
# ruff: noqa: INP001 - a script

import statistics
import sys
import time
from contextlib import AsyncExitStack

import uvloop
from chats import EXCHANGES, chats
from other_stores import agents_redis
from privity_store import StoredChat, sealed_store
from redis.asyncio import Redis
from servers import bind_to_first_core, redis_server

from domain.model.conversation import WORKING_MEMORY
from domain.model.identifiers import ConversationRef

SIZES = (20, 2_000)
TURNS = 8
MAX_CHARACTERS = 100
"""Maximum length of a message. 2,000 longer ones would exceed the size limit of a conversation."""


def _exchange(number: int) -> tuple[str, str]:
    question, reply = chats()[1].exchanges[number % EXCHANGES]
    start = number * 7 % 300
    return question[:MAX_CHARACTERS], reply[start : start + MAX_CHARACTERS] or reply[
        :MAX_CHARACTERS
    ]


async def _grow(chat: StoredChat, messages: int) -> str:
    """Take turns until the conversation has ``messages`` messages; returns its key."""
    for number in range(messages // 2):
        await chat.take_turn(*_exchange(number))
    return f"conversation:state:{chat.session_id}"


Cost = tuple[float, float]
"""Microseconds of one commit: elapsed, and CPU time of this process."""


async def _measure(chat: StoredChat) -> Cost:
    """The average over the commits of eight turns."""
    ref = ConversationRef(chat.owner, chat.session_id)
    conversation = await chat.store.load(ref, WORKING_MEMORY)
    start, cpu = time.perf_counter(), time.process_time()
    for number in range(TURNS):
        conversation = await chat.take_turn_on(conversation, *_exchange(number))
    each = 1e6 / TURNS / 2
    return (time.perf_counter() - start) * each, (time.process_time() - cpu) * each


async def _rounds(
    redis: "Redis", by_size: dict[int, StoredChat], rounds: int
) -> dict[int, list[Cost]]:
    keys = {size: await _grow(chat, size) for size, chat in by_size.items()}
    for key in keys.values():
        await redis.copy(key, f"saved:{key}")
    costs: dict[int, list[Cost]] = {size: [] for size in SIZES}
    for number in range(rounds + 1):
        for size in SIZES if number % 2 else SIZES[::-1]:
            await redis.copy(f"saved:{keys[size]}", keys[size], replace=True)
            costs[size].append(await _measure(by_size[size]))
    return {size: each[1:] for size, each in costs.items()}


async def main(rounds: str = "100") -> None:
    async with AsyncExitStack() as stack:
        port = stack.enter_context(redis_server())
        store = await stack.enter_async_context(sealed_store(port))
        redis = await stack.enter_async_context(agents_redis(port, 0))
        bind_to_first_core()
        by_size = {size: StoredChat(store, "en") for size in SIZES}
        costs = await _rounds(redis, by_size, int(rounds))
    print(
        "| | 20 messages | 2,000 messages | ratio | quartiles of the ratio | goal |\n"
        "|---|---|---|---|---|---|"
    )
    elapsed, cpu = ([[cost[at] for cost in costs[size]] for size in SIZES] for at in (0, 1))
    print(_row("µs per commit", *elapsed, goal="at most 1.3"))
    print(_row("of these, CPU of the client", *cpu))


def _row(name: str, small: list[float], large: list[float], *, goal: str = "") -> str:
    ratios = [two / one for one, two in zip(small, large, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    cells = " | ".join(f"{statistics.median(one):,.0f}" for one in (small, large))
    return f"| {name} | {cells} | {middle:.2f} | {low:.2f} to {high:.2f} | {goal} |"


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
