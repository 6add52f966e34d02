"""A store over a real server, for tests, and a look at what lies in it.

Conversations in a real store, for tests.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from redis.asyncio import Redis

from adapters.encrypted_redis.command_queue import Bounds
from adapters.encrypted_redis.connecting import RedisAddress
from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.keys_and_scripts import log_key, state_key
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.turn_log import Batching, RedisTurnLog
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from adapters.system.clock import SystemClock
from domain.model.identifiers import ConversationRef, Owner, SessionId
from ports.clock import Clock
from tests.support.builders import ID, OWNER, a_conversation, with_answer, with_question
from tests.support.fakes import RecordingTelemetry

RING = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NEWER = "second:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="


@frozen(kw_only=True)
class RedisHarness:
    """The adapters, and a plain client beside them."""

    store: RedisConversationStore
    log: RedisTurnLog
    client: RedisClient
    redis: "Redis"
    telemetry: RecordingTelemetry

    async def frames(self, session_id: SessionId = ID) -> list[bytes]:
        found = await self.redis.lrange(state_key(session_id), 0, -1)
        return [frame for frame in found if isinstance(frame, bytes)]

    async def put(self, frames: list[bytes], session_id: SessionId = ID) -> None:
        """Replace what is stored, keeping its stay."""
        key = state_key(session_id)
        await self.redis.delete(key)
        if frames:
            await self.redis.rpush(key, *frames)
            await self.redis.pexpire(key, 86_400_000)

    async def stay(self, session_id: SessionId = ID) -> int:
        """Milliseconds."""
        left: int = await self.redis.pttl(state_key(session_id))
        return left

    async def pass_time(self, duration: timedelta) -> None:
        """Take so much from the stay of every key; what has none left is gone."""
        passed = duration // timedelta(milliseconds=1)
        for key in await self.redis.keys("*"):
            left = await self.redis.pttl(key) - passed
            if left > 0:
                await self.redis.pexpire(key, left)
            else:
                await self.redis.delete(key)

    async def has_log(self, session_id: SessionId = ID) -> bool:
        return bool(await self.redis.exists(log_key(session_id)))


@asynccontextmanager
async def redis_harness(
    url: str,
    ring: str = RING,
    *,
    bounds: Bounds | None = None,
    batching: Batching | None = None,
    clock: Clock | None = None,
    ca_file: Path | None = None,
) -> AsyncIterator[RedisHarness]:
    """Adapters over the server at ``url``, written through unless ``batching`` says otherwise."""
    own = clock or SystemClock()
    place = RedisAddress(url=url, ca_file=ca_file)
    connection = Multiplexer(place.connection, bounds or Bounds(), own)
    running = asyncio.create_task(connection.run())
    notes = RecordingTelemetry()
    commands = RedisClient(connection=connection, clock=own, telemetry=notes)
    sealer = Sealer(ring=KeyRing.parse(ring), random_bytes=os.urandom)
    log = RedisTurnLog(
        commands=commands, sealer=sealer, clock=own, batching=batching or Batching(characters=0)
    )
    store = RedisConversationStore(commands=commands, sealer=sealer, log=log, clock=own)
    trusted: dict[str, Any] = {"ssl_ca_certs": str(ca_file)} if ca_file else {}
    redis = Redis.from_url(url, protocol=2, **trusted)
    try:
        yield RedisHarness(store=store, log=log, client=commands, redis=redis, telemetry=notes)
    finally:
        await redis.aclose()
        connection.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def with_turns(harness: RedisHarness, turns: int, owner: Owner = OWNER) -> None:
    """A conversation of so many turns."""
    await harness.store.create(owner, a_conversation())
    for number in range(1, turns + 1):
        await harness.store.update(
            ConversationRef(owner, ID),
            partial(with_question, text=f"question {number}", number=number),
        )
        await harness.store.update(
            ConversationRef(owner, ID), partial(with_answer, text=f"answer {number}", number=number)
        )
