"""Turns a second at the store's port, with domain values, against two other ways to keep histories.

    pip install 'openai-agents[redis,encrypt]'
    python benchmarks/store_turns.py [ROUNDS]

64 callers. A turn reads the history, writes the question and, later, the reply: both are durable
when they are acknowledged. Each conversation is taken from 12 to 28 messages, on average 20, then
comes the next one: eight turns, of which one merges frames.

- Privity: ``update`` with begin, ``update`` with finish, as a use case does; checked against other
  writers, sealed, stay and turn log included.
- openai-agents: ``get_items``, ``add_items`` with the question, ``add_items`` with the reply, on
  EncryptedSession over RedisSession, one client with its default pool.
- JSON: GET and decode, SETEX with the question, SETEX with the reply; role and content only, no
  check, no sealing, a redis-py pool of 64. Also with one SETEX, for both at the end.
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
from keeping import Talk, sealed_store
from peers import AgentsKeeper, JsonKeeper, agents_redis, json_redis
from redis.asyncio import Redis
from rounds import Contender, Work, rates_of, table
from servers import redis_server, to_the_first_core

CALLERS, EACH, BEFORE, TURNS = 64, 10, 6, 8
OURS = "Privity"
AGENTS = "openai-agents, EncryptedSession over RedisSession"
WANTED = {AGENTS: 10.0, "JSON, GET and two SETEX": 2.0}

Take = Callable[[str, str], Awaitable[None]]
"""One turn of one conversation: question, reply."""


def _chat(caller: int) -> Chat:
    return chats()[caller % len(chats())]


async def _turns(take: Take, chat: Chat, numbers: range, goes_on: Callable[[], bool]) -> int:
    for done, number in enumerate(numbers):
        if not goes_on():
            return done
        await take(*chat.exchanges[number % EXCHANGES])
    return len(numbers)


def _work(takes: list[list[Take]]) -> Work:
    async def work(caller: int, goes_on: Callable[[], bool]) -> int:
        chat, done = _chat(caller), 0
        for take in takes[caller]:
            done += await _turns(take, chat, range(BEFORE, BEFORE + TURNS), goes_on)
        assert not goes_on(), "more conversations are needed for a round"
        return done

    return work


async def _contender(
    name: str, redis: "Redis", conversation: Callable[[Chat], Awaitable[Take]]
) -> Contender:
    """With conversations of 12 messages, to which every round returns by COPY."""
    takes = [[await conversation(_chat(caller)) for _ in range(EACH)] for caller in range(CALLERS)]
    await asyncio.gather(*(_begin(one, _chat(caller)) for caller, one in enumerate(takes)))
    for key in await redis.keys("conversation:*") + await redis.keys("agents:*"):
        await redis.copy(key, b"begun:" + key)

    async def back_to_the_beginning() -> None:
        for key in await redis.keys("begun:*"):
            await redis.copy(key, key.removeprefix(b"begun:"), replace=True)

    return Contender(name, _work(takes), back_to_the_beginning)


async def _begin(takes: list[Take], chat: Chat) -> None:
    for take in takes:
        await _turns(take, chat, range(BEFORE), lambda: True)


async def _contenders(port: int, new_conversation: AsyncExitStack) -> list[Contender]:
    store = await new_conversation.enter_async_context(sealed_store(port))
    beside = [
        await new_conversation.enter_async_context(json_redis(port, number)) for number in range(3)
    ]
    others = await new_conversation.enter_async_context(agents_redis(port, 3))

    async def ours(chat: Chat) -> Take:
        return Talk(store, chat.language).take_turn

    def theirs(keeper: JsonKeeper | AgentsKeeper) -> Callable[[Chat], Awaitable[Take]]:
        async def conversation(_: Chat) -> Take:
            name = str(uuid4())
            return lambda question, reply: keeper.take_turn(name, question, reply)

        return conversation

    one_write = JsonKeeper(beside[2], writes_at_begin=False)
    return [
        await _contender(OURS, beside[0], ours),
        await _contender("JSON, GET and two SETEX", beside[1], theirs(JsonKeeper(beside[1]))),
        await _contender("JSON, GET and one SETEX", beside[2], theirs(one_write)),
        await _contender(AGENTS, others, theirs(AgentsKeeper(others))),
    ]


async def main(rounds: str = "15") -> None:
    with redis_server() as port:
        to_the_first_core()
        async with AsyncExitStack() as new_conversation:
            contenders = await _contenders(port, new_conversation)
            rates = await rates_of(contenders, callers=CALLERS, rounds=int(rounds), seconds=0.5)
    print(table(rates, OURS, WANTED, "turns/s"))


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    uvloop.run(main(*sys.argv[1:]))
