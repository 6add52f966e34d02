"""What Redis evicts when its 100 MB are full, and what happens to a turn whose state is evicted.

    python benchmarks/eviction.py

redis-server with maxmemory 100mb and allkeys-lru holds 14,000 conversations that have been idle for
0 to 24 hours (RESTORE … IDLETIME), and fifty more in the middle of a turn. Then 6,000 new ones are
added, and the evicted ones are counted. Finally one state is deleted, as eviction would do, while
the log of its turn remains.
"""
# ruff: noqa: INP001 - a script

import statistics
from uuid import uuid4

import uvloop
from chats import chats
from other_stores import agents_redis
from privity_store import StoredChat, sealed_store
from redis.asyncio import Redis
from servers import redis_server

from adapters.encrypted_redis.conversation_store import RedisConversationStore
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef

OLD = 14_000
NEW = 6_000
RUNNING = 50
DAY = 86_400
BATCH = 500
FULL = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")


async def _stored_values(store: RedisConversationStore, redis: "Redis") -> list[bytes]:
    """One stored conversation per chat, as DUMP returns it."""
    values = []
    for chat in chats():
        stored = StoredChat(store, chat.language)
        for question, reply in chat.exchanges:
            await stored.take_turn(question, reply)
        values.append(await redis.dump(f"conversation:state:{stored.session_id}"))
    await redis.flushall()
    return values


async def _add(redis: "Redis", values: list[bytes], idle: list[int]) -> list[bytes]:
    """Add one conversation per element of ``idle`` (idle time in seconds); returns the keys."""
    keys = [f"conversation:state:{uuid4()}".encode() for _ in idle]
    for start in range(0, len(keys), BATCH):
        async with redis.pipeline(transaction=False) as pipeline:
            for number in range(start, min(start + BATCH, len(keys))):
                value = values[number % len(values)]
                pipeline.restore(keys[number], DAY * 1_000, value, idletime=idle[number])
            await pipeline.execute()
    return keys


async def _running_turn(store: RedisConversationStore) -> StoredChat:
    chat = StoredChat(store, "en")
    await chat.begin(chats()[0].exchanges[0][0])
    return chat


async def _delete_state(redis: "Redis", chat: StoredChat) -> None:
    """Delete the state of a running turn, and print what remains possible."""
    ref = ConversationRef(chat.owner, chat.session_id)
    await redis.delete(f"conversation:state:{chat.session_id}")
    log = f"{{conversation:state:{chat.session_id}}}:turn"
    print(f"the log exists: {bool(await redis.exists(log))}, for {await redis.ttl(log)} s more")
    try:
        await chat.store.load(ref)
    except ConversationNotFound:
        print("load: ConversationNotFound, so the next message starts a new conversation")
    try:
        await chat.end(chats()[0].exchanges[0][1])
    except ConversationNotFound:
        print("reply: ConversationNotFound, so the stream ends with conversation_gone")
    await chat.store.forget(ref)
    print(f"the log exists after forget: {bool(await redis.exists(log))}")


def _report(old: list[bytes], new: list[bytes], idle: list[int], remaining: set[bytes]) -> None:
    """Print the table of docs/capacity.md, without the rows on running turns."""
    evicted = [rank for rank, key in enumerate(old) if key not in remaining]
    spared = sum(key in remaining for key in old[: evicted[-1]])
    print("| | |\n|---|---|")
    print(f"| evicted | {len(evicted):,} |")
    median = idle[round(statistics.median(evicted))] / 3_600
    print(f"| idle time of the evicted conversations, median | {median:.1f} hours |")
    shortest = idle[evicted[-1]] / 3_600
    print(f"| shortest idle time of an evicted conversation | {shortest:.1f} hours |")
    print(f"| conversations idle for longer than that, but not evicted | {spared:,} |")
    print(f"| new conversations evicted | {sum(key not in remaining for key in new)} |")


async def main() -> None:
    with redis_server(*FULL) as port:
        async with sealed_store(port) as store, agents_redis(port, 0) as redis:
            values = await _stored_values(store, redis)
            idle = [DAY - DAY * number // OLD for number in range(OLD)]
            old = await _add(redis, values, idle)
            running = [await _running_turn(store) for _ in range(RUNNING)]
            new = await _add(redis, values, [0] * NEW)
            remaining = set(await redis.keys("*"))
            _report(old, new, idle, remaining)
            states = [f"conversation:state:{chat.session_id}".encode() for chat in running]
            kept = sum(state in remaining for state in states)
            logs = sum(key.endswith(b":turn") for key in remaining)
            print(f"| of the {RUNNING} in the middle of a turn, kept completely | {kept} |")
            print(f"| of these, with log | {logs} |\n")
            await _delete_state(redis, running[0])


if __name__ == "__main__":
    uvloop.run(main())
