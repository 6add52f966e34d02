"""What the operator learns while the service runs and Redis cannot be used: each cause, for real.

These are the causes in docs/events.md that a server can be made to have.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest

from adapters.encrypted_redis.command_queue import Bounds
from adapters.encrypted_redis.process_lease import RedisProcessLease
from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, PROCESS, REF, a_conversation, with_question
from tests.support.clocks import ShiftedClock
from tests.support.fakes import Fields
from tests.support.native_client import eventually
from tests.support.redis_connections import BRIEF, LONG
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness

A_MOMENT = timedelta(milliseconds=10)


class QuickClock(ShiftedClock):
    """Sleeping takes a moment, and advances the clock by the rest."""

    async def sleep(self, duration: timedelta) -> None:
        await super().sleep(min(duration, A_MOMENT))
        self.advance(max(duration - A_MOMENT, timedelta()))


@asynccontextmanager
async def watching(
    server: RedisProcess, bounds: Bounds | None = None
) -> AsyncIterator[RedisHarness]:
    """The adapters of a service whose Redis has answered; each second it renews its lease."""
    clock = QuickClock()
    lease = RedisProcessLease(PROCESS, clock)
    async with redis_harness(server.url, bounds=bounds, clock=clock, check=lease.renew) as harness:
        await eventually(partial(is_healthy, harness))
        yield harness


async def is_healthy(harness: RedisHarness) -> bool:
    await asyncio.sleep(A_MOMENT.total_seconds())
    return harness.client.healthy_for > timedelta()


async def next_fields(harness: RedisHarness, event: str) -> Fields:
    async def is_emitted() -> bool:
        await asyncio.sleep(A_MOMENT.total_seconds())
        return bool(harness.telemetry.fields_of(event))

    await eventually(is_emitted)
    return harness.telemetry.fields_of(event)[-1]


async def fill(harness: RedisHarness, _: RedisProcess) -> None:
    await harness.redis.config_set("maxmemory-policy", "noeviction")
    await harness.redis.config_set("maxmemory", "1")


async def empty(harness: RedisHarness, _: RedisProcess) -> None:
    await harness.redis.config_set("maxmemory", "0")


async def make_replica(harness: RedisHarness, _: RedisProcess) -> None:
    await harness.redis.replicaof("127.0.0.1", "1")


async def make_primary(harness: RedisHarness, _: RedisProcess) -> None:
    await harness.redis.replicaof("NO", "ONE")


async def break_disk(harness: RedisHarness, server: RedisProcess) -> None:
    # A folder is where the file should be written.
    (server.directory / "dump.rdb").mkdir()
    await harness.redis.config_set("save", "3600 1")
    await harness.redis.bgsave()


async def mend_disk(harness: RedisHarness, server: RedisProcess) -> None:
    (server.directory / "dump.rdb").rmdir()
    await harness.redis.bgsave()


async def restrict(harness: RedisHarness, _: RedisProcess) -> None:
    await harness.redis.acl_setuser("default", enabled=True, nopass=True, categories=["-@write"])


async def permit(harness: RedisHarness, _: RedisProcess) -> None:
    await harness.redis.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])


async def stop(_: RedisHarness, server: RedisProcess) -> None:
    server.kill()


async def start(_: RedisHarness, server: RedisProcess) -> None:
    server.start()


@pytest.mark.parametrize(
    ("harm", "repair", "reasons"),
    [
        (fill, empty, {"OOM"}),
        (make_replica, make_primary, {"READONLY"}),
        (break_disk, mend_disk, {"MISCONF"}),
        (restrict, permit, {"NOPERM"}),
        (stop, start, {"closed", "refused"}),
    ],
)
async def test_each_cause_of_an_outage_is_logged_and_so_is_its_end(
    own_server: RedisProcess,
    harm: Callable[[RedisHarness, RedisProcess], Awaitable[None]],
    repair: Callable[[RedisHarness, RedisProcess], Awaitable[None]],
    reasons: set[str],
) -> None:
    async with watching(own_server) as harness:
        await harness.store.create(OWNER, a_conversation())
        await harm(harness, own_server)
        lost = await next_fields(harness, "redis.lost")
        with pytest.raises(StoreUnavailable):
            await harness.store.update(REF, with_question)
        away = await next_fields(harness, "redis.away")
        await repair(harness, own_server)
        back = await next_fields(harness, "redis.back")
        await harness.store.forget(REF)

    assert lost["reason"] in reasons
    assert away["reason"] in reasons
    assert back["failed_operations"] == 1
    assert harness.telemetry.events.count("redis.lost") == 1
    assert "store.unavailable" not in harness.telemetry.events


async def test_a_frozen_redis_is_lost_until_it_answers_again(own_server: RedisProcess) -> None:
    async with watching(own_server, Bounds(timeout=BRIEF, grace=LONG)) as harness:
        own_server.signal(signal.SIGSTOP)
        lost = await next_fields(harness, "redis.lost")
        own_server.signal(signal.SIGCONT)
        await next_fields(harness, "redis.back")

    assert lost == {"reason": "timeout"}


async def test_missing_permission_for_one_kind_of_key_is_logged_with_the_operation(
    own_server: RedisProcess,
) -> None:
    async with watching(own_server) as harness:
        await harness.store.create(OWNER, a_conversation())
        await harness.redis.acl_setuser(
            "default", enabled=True, nopass=True, reset_keys=True, keys=["process:*"]
        )
        with pytest.raises(StoreUnavailable):
            await harness.store.load(REF)

    assert harness.telemetry.emitted == [
        ("store.unavailable", {"operation": "load", "reason": "NOPERM"})
    ]


async def test_a_short_interruption_is_an_outage_of_its_own(own_server: RedisProcess) -> None:
    async with watching(own_server) as harness:
        for _ in range(2):
            own_server.kill()
            await next_fields(harness, "redis.lost")
            own_server.start()
            await next_fields(harness, "redis.back")
            lines = list(harness.telemetry.events)
            harness.telemetry.emitted.clear()

            assert [line for line in lines if line != "redis.away"] == ["redis.lost", "redis.back"]
