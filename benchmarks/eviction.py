"""Who goes when 100 MB are full, and what is left of a turn whose conversation went.

    python benchmarks/eviction.py

redis-server with maxmemory 100mb and allkeys-lru holds 14,000 conversations, idle for between a
day and nothing (RESTORE … IDLETIME), fifty of them in the middle of a turn. Then 6,000 newer ones
come. Counted: which were evicted. Then one state is deleted by hand, as eviction would do it, while
the log of its turn stays.
"""
# ruff: noqa: INP001 - a script

import statistics
from uuid import uuid4

import uvloop
from chats import chats
from keeping import Talk, sealed_store
from peers import agents_redis
from redis.asyncio import Redis
from servers import redis_server

from adapters.encrypted_redis.conversation_store import RedisConversationStore
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef

OLD, NEW, DAY, AT_ONCE = 14_000, 6_000, 86_400, 500
FULL = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")


async def _written(store: RedisConversationStore, redis: "Redis") -> list[bytes]:
    values = []
    for chat in chats():
        talk = Talk(store, chat.language)
        for question, reply in chat.exchanges:
            await talk.take_turn(question, reply)
        values.append(await redis.dump(f"conversation:state:{talk.session_id}"))
    await redis.flushall()
    return values


async def _added(redis: "Redis", values: list[bytes], idle: list[int]) -> list[bytes]:
    """The keys of as many conversations, so many seconds idle."""
    keys = [f"conversation:state:{uuid4()}".encode() for _ in idle]
    for start in range(0, len(keys), AT_ONCE):
        async with redis.pipeline(transaction=False) as pipeline:
            for number in range(start, min(start + AT_ONCE, len(keys))):
                value = values[number % len(values)]
                pipeline.restore(keys[number], DAY * 1_000, value, idletime=idle[number])
            await pipeline.execute()
    return keys


async def _in_a_turn(store: RedisConversationStore) -> Talk:
    talk = Talk(store, "en")
    await talk.begin(chats()[0].exchanges[0][0])
    return talk


async def _without_its_state(redis: "Redis", talk: Talk) -> None:
    await redis.delete(f"conversation:state:{talk.session_id}")
    log = f"{{conversation:state:{talk.session_id}}}:turn"
    print(f"its log is there: {bool(await redis.exists(log))}, for {await redis.ttl(log)} s more")
    try:
        await talk.store.load(ConversationRef(talk.owner, talk.session_id))
    except ConversationNotFound:
        print("its state: ConversationNotFound, so the next message begins anew (restarted)")
    try:
        await talk.end(chats()[0].exchanges[0][1])
    except ConversationNotFound:
        print("its reply: ConversationNotFound, so the stream ends with conversation_gone")
    await talk.store.forget(ConversationRef(talk.owner, talk.session_id))
    print(f"its log after forget: {'still there' if await redis.exists(log) else 'gone'}")


async def main() -> None:
    with redis_server(*FULL) as port:
        async with sealed_store(port) as store, agents_redis(port, 0) as redis:
            values = await _written(store, redis)
            idle = [DAY - DAY * number // OLD for number in range(OLD)]
            old = await _added(redis, values, idle)
            talks = [await _in_a_turn(store) for _ in range(50)]
            new = await _added(redis, values, [0] * NEW)
            there = set(await redis.keys("*"))
            gone = [rank for rank, key in enumerate(old) if key not in there]
            print(f"evicted: {sum(key not in there for key in new)} of the new ones, of the old")
            print(f"{len(gone):,}, whose median idle time was", end=" ")
            print(f"{idle[round(statistics.median(gone))] / 3_600:.1f} h, the least idle of them")
            print(f"{idle[gone[-1]] / 3_600:.1f} h; idle for longer than that and still there:")
            print(f"{sum(key in there for key in old[: gone[-1]]):,}. Of 50 in a turn, with state:")
            states = [f"conversation:state:{talk.session_id}".encode() in there for talk in talks]
            print(f"{sum(states)}, with log: {sum(key.endswith(b':turn') for key in there)}")
            await _without_its_state(redis, talks[0])


if __name__ == "__main__":
    uvloop.run(main())
