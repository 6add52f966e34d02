"""How many conversations of ten exchanges lie in 100 MB of Redis, and who goes when it is full.

    pip install 'openai-agents[redis,encrypt]'
    python benchmarks/capacity.py

redis-server with maxmemory 100mb and allkeys-lru, as Compose runs it. Of the chats in ``texts/``
twenty conversations each are written by the real stores, then restored under new names until the
first key is evicted. No turn logs: they are gone a minute after the turn. A conversation weighs
what MEMORY USAGE says of its keys.
"""
# ruff: noqa: INP001 - a script

import statistics
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import uvloop
from attrs import frozen
from chats import Chat, chats
from keeping import Talk, sealed_store
from peers import STAY_SECONDS, AgentsKeeper, JsonKeeper, agents_redis
from redis.asyncio import Redis
from servers import redis_server

EACH = 20
AT_ONCE = 10
"""Few: what a client is sending counts as used memory."""

FULL = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
WANTED = {"JSON, SETEX": 2.2, "openai-agents, EncryptedSession over RedisSession": 3.5}

Take = Callable[[str, str], Awaitable[None]]
Stored = dict[bytes, bytes]
"""One conversation: its keys, the session id replaced by ``*``, and what RESTORE takes."""


@frozen
class Held:
    """What one way of storing came to."""

    weight: int
    count: int


async def _written(redis: "Redis", take: Take, name: str, chat: Chat) -> tuple[Stored, int]:
    """A conversation and its weight."""
    for question, reply in chat.exchanges:
        await take(question, reply)
    keys = [key for key in await redis.keys(f"*{name}*") if not key.endswith(b":turn")]
    stored = {key.replace(name.encode(), b"*"): await redis.dump(key) for key in keys}
    return stored, sum([await redis.memory_usage(key, samples=0) for key in keys])


async def _filled(redis: "Redis", conversations: Sequence[Stored]) -> int:
    """How many there are when the first key is evicted."""
    await redis.flushall()
    count = 0
    while not (await redis.info("stats"))["evicted_keys"]:
        async with redis.pipeline(transaction=False) as pipeline:
            for stored in conversations[count % len(conversations) :][:AT_ONCE]:
                name = str(uuid4()).encode()
                for key, value in stored.items():
                    pipeline.restore(key.replace(b"*", name), STAY_SECONDS * 1_000, value)
            await pipeline.execute()
        count += AT_ONCE
    return count


async def _held(redis: "Redis", talk: Callable[[Chat], tuple[Take, str]]) -> Held:
    found, weights = [], []
    for chat in chats() * EACH:
        stored, weight = await _written(redis, *talk(chat), chat)
        found.append(stored)
        weights.append(weight)
    return Held(round(statistics.mean(weights)), await _filled(redis, found))


async def _ours(port: int) -> Held:
    async with sealed_store(port) as store, agents_redis(port, 0) as redis:

        def talk(chat: Chat) -> tuple[Take, str]:
            new = Talk(store, chat.language)
            return new.take_turn, new.session_id

        return await _held(redis, talk)


async def _theirs(port: int, keeping: Callable[["Redis"], JsonKeeper | AgentsKeeper]) -> Held:
    async with agents_redis(port, 0) as redis:
        keeper = keeping(redis)

        def talk(_: Chat) -> tuple[Take, str]:
            name = str(uuid4())
            return lambda question, reply: keeper.take_turn(name, question, reply), name

        return await _held(redis, talk)


async def main() -> None:
    held: dict[str, Held] = {}
    with redis_server(*FULL) as port:
        held["Privity"] = await _ours(port)
    with redis_server(*FULL) as port:
        held["JSON, SETEX"] = await _theirs(port, JsonKeeper)
    with redis_server(*FULL) as port:
        held["openai-agents, EncryptedSession over RedisSession"] = await _theirs(
            port, AgentsKeeper
        )
    size = statistics.mean(chat.size for chat in chats())
    print(f"plain text of one: {size:,.0f} bytes\n")
    print("| | bytes each | held in 100 MB | ours over it | wanted |\n|---|---|---|---|---|")
    for name, one in held.items():
        compared = f"{held['Privity'].count / one.count:.2f} | {WANTED.get(name, '')}"
        print(f"| {name} | {one.weight:,} | {one.count:,} | {compared} |")


if __name__ == "__main__":
    uvloop.run(main())
