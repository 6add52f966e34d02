"""How many conversations of ten exchanges fit into 100 MB of Redis.

    pip install 'openai-agents[redis,encrypt]'
    python benchmarks/capacity.py

redis-server runs with maxmemory 100mb and allkeys-lru, as in Compose. The real stores write each
chat in ``texts/`` as twenty conversations. Copies of them are restored until Redis evicts the first
key. Turn logs are left out, because they expire a minute after the turn. The size of a
conversation is the MEMORY USAGE of its keys.
"""
# ruff: noqa: INP001 - a script

import statistics
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import uvloop
from attrs import frozen
from chats import Chat, chats
from other_stores import RETENTION_SECONDS, AgentsStore, JsonStore, agents_redis
from privity_store import StoredChat, sealed_store
from redis.asyncio import Redis
from servers import redis_server

COPIES = 20
BATCH = 10
"""Small, because commands that are being received count as used memory."""

FULL = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
GOALS = {"JSON, SETEX": 2.2, "openai-agents, EncryptedSession over RedisSession": 3.5}

OURS = "Privity"

Take = Callable[[str, str], Awaitable[None]]
Stored = dict[bytes, bytes]
"""One conversation: its values for RESTORE, by key. In a key, ``*`` stands for the session id."""


@frozen
class Capacity:
    """The average bytes of a conversation, and how many fit into the memory."""

    size: int
    count: int


async def _write(redis: "Redis", take: Take, name: str, chat: Chat) -> tuple[Stored, int]:
    """The stored conversation and its size in bytes."""
    for question, reply in chat.exchanges:
        await take(question, reply)
    keys = [key for key in await redis.keys(f"*{name}*") if not key.endswith(b":turn")]
    stored = {key.replace(name.encode(), b"*"): await redis.dump(key) for key in keys}
    return stored, sum([await redis.memory_usage(key, samples=0) for key in keys])


async def _fill(redis: "Redis", conversations: Sequence[Stored]) -> int:
    """Restore copies until the first key is evicted; returns how many there are."""
    await redis.flushall()
    count = 0
    while not (await redis.info("stats"))["evicted_keys"]:
        async with redis.pipeline(transaction=False) as pipeline:
            for stored in conversations[count % len(conversations) :][:BATCH]:
                name = str(uuid4()).encode()
                for key, value in stored.items():
                    pipeline.restore(key.replace(b"*", name), RETENTION_SECONDS * 1_000, value)
            await pipeline.execute()
        count += BATCH
    return count


async def _capacity(redis: "Redis", new_chat: Callable[[Chat], tuple[Take, str]]) -> Capacity:
    conversations, sizes = [], []
    for chat in chats() * COPIES:
        stored, size = await _write(redis, *new_chat(chat), chat)
        conversations.append(stored)
        sizes.append(size)
    return Capacity(round(statistics.mean(sizes)), await _fill(redis, conversations))


async def _ours(port: int) -> Capacity:
    async with sealed_store(port) as store, agents_redis(port, 0) as redis:

        def new_chat(chat: Chat) -> tuple[Take, str]:
            stored = StoredChat(store, chat.language)
            return stored.take_turn, stored.session_id

        return await _capacity(redis, new_chat)


async def _theirs(port: int, open_store: Callable[["Redis"], JsonStore | AgentsStore]) -> Capacity:
    async with agents_redis(port, 0) as redis:
        their_store = open_store(redis)

        def new_chat(_: Chat) -> tuple[Take, str]:
            name = str(uuid4())
            return lambda question, reply: their_store.take_turn(name, question, reply), name

        return await _capacity(redis, new_chat)


async def main() -> None:
    capacities: dict[str, Capacity] = {}
    with redis_server(*FULL) as port:
        capacities[OURS] = await _ours(port)
    with redis_server(*FULL) as port:
        capacities["JSON, SETEX"] = await _theirs(port, JsonStore)
    with redis_server(*FULL) as port:
        capacities["openai-agents, EncryptedSession over RedisSession"] = await _theirs(
            port, AgentsStore
        )
    size = statistics.mean(chat.size for chat in chats())
    print(f"plain text of one conversation: {size:,.0f} bytes\n")
    print("| | bytes each | fit into 100 MB | Privity's number ÷ theirs | goal |")
    print("|---|---|---|---|---|")
    for name, capacity in capacities.items():
        ratio = f"{capacities[OURS].count / capacity.count:.2f}" if name != OURS else ""
        goal = GOALS.get(name, "")
        print(f"| {name} | {capacity.size:,} | {capacity.count:,} | {ratio} | {goal} |")


if __name__ == "__main__":
    uvloop.run(main())
