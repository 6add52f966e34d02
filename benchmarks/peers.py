"""Two other ways to keep histories in Redis.

pip install 'openai-agents[redis,encrypt]'
"""
# ruff: noqa: INP001 - imported by scripts

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis

STAY_SECONDS = 86_400
_AGENTS_KEY = "a benchmark's key, which protects nothing at all"


class JsonKeeper:
    """Role and content as JSON under one key: no check for other writers, no sealing."""

    def __init__(self, redis: "Redis", *, writes_at_begin: bool = True) -> None:
        """Without ``writes_at_begin`` the question is only kept along with its reply."""
        self._redis = redis
        self._writes_at_begin = writes_at_begin

    async def take_turn(self, name: str, question: str, reply: str) -> None:
        key = f"conversation:state:{name}"
        stored = await self._redis.get(key)
        said = json.loads(stored) if stored else []
        said.append({"role": "user", "content": question})
        if self._writes_at_begin:
            await self._redis.setex(key, STAY_SECONDS, _json(said))
        said.append({"role": "assistant", "content": reply})
        await self._redis.setex(key, STAY_SECONDS, _json(said))


def _json(said: object) -> str:
    # As JavaScript writes it: letters stay letters, nothing is put between.
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


@asynccontextmanager
async def json_redis(port: int, database: int) -> AsyncIterator["Redis"]:
    """A client with a connection for each of 64 callers."""
    pool: BlockingConnectionPool = BlockingConnectionPool(
        max_connections=64, timeout=None, host="127.0.0.1", port=port, db=database
    )
    async with Redis(connection_pool=pool) as client:
        yield client
    await pool.disconnect()


class AgentsKeeper:
    """openai-agents' EncryptedSession over its RedisSession."""

    def __init__(self, redis: "Redis") -> None:
        """Sessions are made per turn, as a request would, over one client."""
        self._redis = redis

    async def take_turn(self, name: str, question: str, reply: str) -> None:
        from agents.extensions.memory import EncryptedSession, RedisSession  # noqa: PLC0415 - heavy

        kept = RedisSession(name, redis_client=self._redis, ttl=STAY_SECONDS)
        session = EncryptedSession(name, kept, _AGENTS_KEY, ttl=STAY_SECONDS)
        await session.get_items()
        await session.add_items([{"role": "user", "content": question}])
        await session.add_items([{"role": "assistant", "content": reply}])


@asynccontextmanager
async def agents_redis(port: int, database: int) -> AsyncIterator["Redis"]:
    """A client as ``RedisSession.from_url`` makes it, shared by all sessions."""
    async with Redis.from_url(f"redis://127.0.0.1:{port}/{database}") as client:
        yield client
