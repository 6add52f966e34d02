"""Two other ways to store histories in Redis.

pip install 'openai-agents[redis,encrypt]'
"""
# ruff: noqa: INP001 - imported by scripts

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis

RETENTION_SECONDS = 86_400
_AGENTS_KEY = "the key of a benchmark, which protects nothing"


class JsonStore:
    """Role and content as JSON under one key, neither sealed nor checked for other writers."""

    def __init__(self, redis: "Redis", *, writes_at_begin: bool = True) -> None:
        """Without ``writes_at_begin`` the question is stored together with its reply."""
        self._redis = redis
        self._writes_at_begin = writes_at_begin

    async def take_turn(self, name: str, question: str, reply: str) -> None:
        key = f"conversation:state:{name}"
        stored = await self._redis.get(key)
        messages = json.loads(stored) if stored else []
        messages.append({"role": "user", "content": question})
        if self._writes_at_begin:
            await self._redis.setex(key, RETENTION_SECONDS, _json(messages))
        messages.append({"role": "assistant", "content": reply})
        await self._redis.setex(key, RETENTION_SECONDS, _json(messages))


def _json(messages: object) -> str:
    # As JavaScript writes it: no escapes for letters, no spaces.
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))


@asynccontextmanager
async def json_redis(port: int, database: int) -> AsyncIterator["Redis"]:
    """A client with one connection for each of 64 callers."""
    pool: BlockingConnectionPool = BlockingConnectionPool(
        max_connections=64, timeout=None, host="127.0.0.1", port=port, db=database
    )
    async with Redis(connection_pool=pool) as client:
        yield client
    await pool.disconnect()


class AgentsStore:
    """openai-agents' EncryptedSession over its RedisSession."""

    def __init__(self, redis: "Redis") -> None:
        """Each turn creates a session over ``redis``, as a request would."""
        self._redis = redis

    async def take_turn(self, name: str, question: str, reply: str) -> None:
        from agents.extensions.memory import EncryptedSession, RedisSession  # noqa: PLC0415 - heavy

        plain = RedisSession(name, redis_client=self._redis, ttl=RETENTION_SECONDS)
        session = EncryptedSession(name, plain, _AGENTS_KEY, ttl=RETENTION_SECONDS)
        await session.get_items()
        await session.add_items([{"role": "user", "content": question}])
        await session.add_items([{"role": "assistant", "content": reply}])


@asynccontextmanager
async def agents_redis(port: int, database: int) -> AsyncIterator["Redis"]:
    """A client as ``RedisSession.from_url`` creates it, shared by all sessions."""
    async with Redis.from_url(f"redis://127.0.0.1:{port}/{database}") as client:
        yield client
