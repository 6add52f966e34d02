"""Turns per second of Privity's conversation store, compared with two other stores.

    pip install 'openai-agents[redis,encrypt]'
    python benchmarks/store_turns.py [ROUNDS]

64 callers. A turn reads the history, stores the question and then the reply, and waits until each
is acknowledged. Each conversation grows from 12 to 28 messages, 20 on average, in eight turns, one
of which merges frames.

- Privity: ``update`` with the question, ``update`` with the reply, as a use case does. Sealed,
  checked for other writers, with retention and turn log.
- openai-agents: ``get_items``, ``add_items`` with the question, ``add_items`` with the reply, on
  EncryptedSession over RedisSession. One client with its default pool.
- JSON: GET and decode, SETEX with the question, SETEX with the reply. Role and content only, not
  sealed, not checked, a redis-py pool of 64. Also with one SETEX for both at the end.
"""
# ruff: noqa: INP001 - a script

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import uvloop
from chats import EXCHANGES, Chat, chats
from other_stores import AgentsStore, JsonStore, agents_redis, json_redis
from privity_store import StoredChat, sealed_store
from redis.asyncio import Redis
from rounds import Contender, Work, rates_of, table
from servers import bind_to_first_core, redis_server

CALLERS = 64
CONVERSATIONS = 10
EARLIER_TURNS = 6
TURNS = 8
OURS = "Privity"
AGENTS = "openai-agents, EncryptedSession over RedisSession"
GOALS = {AGENTS: 10.0, "JSON, GET and two SETEX": 2.0}

Take = Callable[[str, str], Awaitable[None]]
"""One turn of one conversation: question, reply."""


def _chat(caller: int) -> Chat:
    return chats()[caller % len(chats())]


async def _turns(take: Take, chat: Chat, numbers: range, may_continue: Callable[[], bool]) -> int:
    for done, number in enumerate(numbers):
        if not may_continue():
            return done
        await take(*chat.exchanges[number % EXCHANGES])
    return len(numbers)


def _work(takes: list[list[Take]]) -> Work:
    async def work(caller: int, may_continue: Callable[[], bool]) -> int:
        chat, done = _chat(caller), 0
        for take in takes[caller]:
            done += await _turns(
                take, chat, range(EARLIER_TURNS, EARLIER_TURNS + TURNS), may_continue
            )
        assert not may_continue(), "the conversations have too few turns for a round"
        return done

    return work


async def _contender(
    name: str, redis: "Redis", new_conversation: Callable[[Chat], Awaitable[Take]]
) -> Contender:
    """A contender whose conversations have 12 messages. COPY restores them before each round."""
    takes = [
        [await new_conversation(_chat(caller)) for _ in range(CONVERSATIONS)]
        for caller in range(CALLERS)
    ]
    await asyncio.gather(*(_fill(own, _chat(caller)) for caller, own in enumerate(takes)))
    for key in await redis.keys("conversation:*") + await redis.keys("agents:*"):
        await redis.copy(key, b"saved:" + key)

    async def restore() -> None:
        for key in await redis.keys("saved:*"):
            await redis.copy(key, key.removeprefix(b"saved:"), replace=True)

    return Contender(name, _work(takes), restore)


async def _fill(takes: list[Take], chat: Chat) -> None:
    for take in takes:
        await _turns(take, chat, range(EARLIER_TURNS), lambda: True)


async def _contenders(port: int, stack: AsyncExitStack) -> list[Contender]:
    store = await stack.enter_async_context(sealed_store(port))
    plain = [await stack.enter_async_context(json_redis(port, number)) for number in range(3)]
    agents = await stack.enter_async_context(agents_redis(port, 3))

    async def ours(chat: Chat) -> Take:
        return StoredChat(store, chat.language).take_turn

    def theirs(store: JsonStore | AgentsStore) -> Callable[[Chat], Awaitable[Take]]:
        async def conversation(_: Chat) -> Take:
            name = str(uuid4())
            return lambda question, reply: store.take_turn(name, question, reply)

        return conversation

    one_write = JsonStore(plain[2], writes_at_begin=False)
    return [
        await _contender(OURS, plain[0], ours),
        await _contender("JSON, GET and two SETEX", plain[1], theirs(JsonStore(plain[1]))),
        await _contender("JSON, GET and one SETEX", plain[2], theirs(one_write)),
        await _contender(AGENTS, agents, theirs(AgentsStore(agents))),
    ]


async def main(rounds: str = "15") -> None:
    with redis_server() as port:
        bind_to_first_core()
        async with AsyncExitStack() as stack:
            contenders = await _contenders(port, stack)
            rates = await rates_of(contenders, callers=CALLERS, rounds=int(rounds), seconds=0.5)
    print(table(rates, OURS, GOALS, "turn"))


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    uvloop.run(main(*sys.argv[1:]))
