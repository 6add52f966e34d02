"""The adapters over a real server, and direct access to what they stored there."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from redis.asyncio import Redis

from adapters.encrypted_redis.command_queue import Bounds
from adapters.encrypted_redis.connecting import RedisAddress
from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.keys_and_scripts import state_key
from adapters.encrypted_redis.multiplexer import Check, Multiplexer, ping
from adapters.encrypted_redis.outages import Outages
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.turn_log import Batching, RedisTurnLog
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from domain.model.identifiers import ConversationRef, Owner, SessionId
from ports.clock import Clock
from tests.support.builders import ID, OWNER, a_conversation, with_answer, with_question
from tests.support.clocks import ShiftedClock
from tests.support.fakes import RecordingTelemetry

RING = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NEWER = "second:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="


@frozen(kw_only=True)
class RedisHarness:
    """The adapters, and a plain client beside them."""

    store: RedisConversationStore
    log: RedisTurnLog
    connection: Multiplexer
    client: RedisClient
    redis: "Redis"
    telemetry: RecordingTelemetry

    async def frames(self, session_id: SessionId = ID) -> list[bytes]:
        found = await self.redis.lrange(state_key(session_id), 0, -1)
        return [frame for frame in found if isinstance(frame, bytes)]

    async def put(self, frames: list[bytes], session_id: SessionId = ID) -> None:
        """Replace the frames, with the full retention."""
        key = state_key(session_id)
        await self.redis.delete(key)
        if frames:
            await self.redis.rpush(key, *frames)
            await self.redis.pexpire(key, 86_400_000)

    async def pass_time(self, duration: timedelta) -> None:
        """Shorten the remaining time of every key; delete the keys that have none left."""
        passed = duration // timedelta(milliseconds=1)
        for key in await self.redis.keys("*"):
            left = await self.redis.pttl(key) - passed
            if left > 0:
                await self.redis.pexpire(key, left)
            else:
                await self.redis.delete(key)


async def age_limits(redis: Redis, passed: timedelta) -> None:
    """Change what the limits have counted as if this much time had passed."""
    microseconds = passed // timedelta(microseconds=1)
    for key in await redis.keys("{ratelimit}:*"):
        left = await redis.pttl(key) - passed // timedelta(milliseconds=1)
        if left <= 0:
            await redis.delete(key)
        elif await redis.type(key) == b"hash":
            leases: dict[Any, Any] = await redis.hgetall(key)
            for name, lease in leases.items():
                expires, _, holder = lease.partition(b" ")
                await redis.hset(key, name, b"%d %b" % (int(expires) - microseconds, holder))
        else:
            await redis.set(key, int(await redis.get(key) or 0) - microseconds, px=left)


@asynccontextmanager
async def redis_harness(
    url: str,
    ring: str = RING,
    *,
    bounds: Bounds | None = None,
    batching: Batching | None = None,
    clock: Clock | None = None,
    ca_file: Path | None = None,
    check: Check = ping,
) -> AsyncIterator[RedisHarness]:
    """Adapters over the server at ``url``; without ``batching`` every piece is sent at once."""
    clock = clock or ShiftedClock()
    address = RedisAddress(url=url, ca_file=ca_file)
    telemetry = RecordingTelemetry()
    outages = Outages(telemetry, clock)
    connection = Multiplexer(address.new_connection, bounds or Bounds(), clock, check, outages)
    running = asyncio.create_task(connection.run())
    client = RedisClient(connection=connection, clock=clock, telemetry=telemetry, outages=outages)
    sealer = Sealer(ring=KeyRing.parse(ring), random_bytes=os.urandom)
    log = RedisTurnLog(
        client=client, sealer=sealer, clock=clock, batching=batching or Batching(max_bytes=0)
    )
    store = RedisConversationStore(client=client, sealer=sealer, log=log, clock=clock)
    tls: dict[str, Any] = {"ssl_ca_certs": str(ca_file)} if ca_file else {}
    redis = Redis.from_url(url, protocol=2, **tls)
    try:
        yield RedisHarness(
            store=store,
            log=log,
            connection=connection,
            client=client,
            redis=redis,
            telemetry=telemetry,
        )
    finally:
        await redis.aclose()
        connection.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def store_turns(harness: RedisHarness, turns: int, owner: Owner = OWNER) -> None:
    """Store a conversation with ``turns`` finished turns."""
    await harness.store.create(owner, a_conversation())
    for number in range(1, turns + 1):
        await harness.store.update(
            ConversationRef(owner, ID),
            partial(with_question, text=f"question {number}", number=number),
        )
        await harness.store.update(
            ConversationRef(owner, ID), partial(with_answer, text=f"answer {number}", number=number)
        )


def count_scripts(harness: RedisHarness, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operation of every script that is run from now on."""
    operations: list[str] = []
    run_script = harness.client.run_script

    async def counting(doing: str, *arguments: Any, **options: Any) -> Any:
        operations.append(doing)
        return await run_script(doing, *arguments, **options)

    monkeypatch.setattr(harness.client, "run_script", counting)
    return operations
