"""Which adapters keep conversations: opened by the settings, closed with the stack."""

import os
from contextlib import AsyncExitStack

from attrs import frozen

from adapters.encrypted_redis.commands import Commands
from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.findings import Level, server_findings
from adapters.encrypted_redis.opening import RedisPlace, open_redis
from adapters.encrypted_redis.producing import Batching
from adapters.encrypted_redis.readiness import RedisReadiness
from adapters.encrypted_redis.turn_log import RedisTurnLog
from adapters.in_memory.conversation_store import InMemoryConversationStore
from adapters.in_memory.readiness import InMemoryReadiness
from adapters.in_memory.turn_log import InMemoryTurnLog
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from entrypoints.settings import Settings, Storage
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.readiness import Readiness
from ports.telemetry import Telemetry
from ports.turn_log import TurnLog


@frozen(kw_only=True)
class OpenedStorage:
    """What keeps conversations."""

    store: ConversationStateStore
    log: TurnLog
    readiness: Readiness


async def opened_storage(
    stack: AsyncExitStack, settings: Settings, ring: KeyRing, clock: Clock, telemetry: Telemetry
) -> OpenedStorage:
    """The adapters, open until ``stack`` closes them.

    Raises:
        RedisAway: Redis does not answer, or does not let us in.
    """
    if settings.storage is Storage.MEMORY:
        return _in_memory(clock)
    place = redis_place(settings)
    commands = await stack.enter_async_context(open_redis(place, clock=clock, telemetry=telemetry))
    await _compared(commands, telemetry)
    sealer = Sealer(ring=ring, random_bytes=os.urandom)
    log = RedisTurnLog(commands=commands, sealer=sealer, clock=clock, batching=Batching())
    store = RedisConversationStore(commands=commands, sealer=sealer, log=log, clock=clock)
    return OpenedStorage(store=store, log=log, readiness=RedisReadiness(commands))


async def _compared(commands: Commands, telemetry: Telemetry) -> None:
    """Note what of the server is not as conversations need it; it is the operator's to decide."""
    for finding in await server_findings(commands):
        if finding.level is not Level.GOOD:
            telemetry.note("redis.setting", topic=finding.topic, found=finding.text)


def redis_place(settings: Settings) -> RedisPlace:
    """Where Redis is by the settings."""
    return RedisPlace(
        url=settings.redis_url or "",
        ca_file=settings.redis_ca_file,
        client_cert=settings.redis_client_cert,
        client_key=settings.redis_client_key,
    )


def _in_memory(clock: Clock) -> OpenedStorage:
    log = InMemoryTurnLog(clock=clock)
    store = InMemoryConversationStore(clock=clock, log=log)
    return OpenedStorage(store=store, log=log, readiness=InMemoryReadiness())
