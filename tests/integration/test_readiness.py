"""A Redis that answers but accepts no writes is not ready."""

import asyncio

import pytest

from adapters.encrypted_redis.readiness import REMEMBERED_FOR, RedisReadiness
from adapters.system.clock import SystemClock
from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, a_conversation, with_question
from tests.support.clocks import ManualClock
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, count_scripts, redis_harness

FULL = {"maxmemory-policy": "noeviction", "maxmemory": "1mb"}


async def is_ready(harness: RedisHarness, readiness: RedisReadiness | None = None) -> bool:
    try:
        await (readiness or RedisReadiness(harness.client, SystemClock())).check()
    except StoreUnavailable:
        return False
    return True


async def test_a_full_server_is_not_ready_until_it_has_room_again(own_server: RedisProcess) -> None:
    async with redis_harness(own_server.url) as harness:
        for name, value in FULL.items():
            await harness.redis.config_set(name, value)
        with pytest.raises(StoreUnavailable):
            await harness.store.create(OWNER, with_question(a_conversation()))

        assert not await is_ready(harness)

        await harness.redis.config_set("maxmemory", "0")
        assert await is_ready(harness)


async def test_a_replica_is_not_ready(own_server: RedisProcess) -> None:
    async with redis_harness(own_server.url) as harness:
        await harness.redis.replicaof("127.0.0.1", "1")

        assert not await is_ready(harness)


async def test_a_user_without_permission_for_the_keys_of_the_limits_is_not_ready(
    own_server: RedisProcess,
) -> None:
    async with redis_harness(own_server.url) as harness:
        await harness.redis.acl_setuser(
            "default", enabled=True, nopass=True, reset_keys=True, keys=["conversation:*"]
        )

        assert not await is_ready(harness)


async def test_the_check_leaves_no_key(harness: RedisHarness) -> None:
    assert await is_ready(harness)

    assert await harness.redis.dbsize() == 0


async def test_a_flood_of_checks_sends_one_write_per_second(
    harness: RedisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = ManualClock(), count_scripts(harness, monkeypatch)
    readiness = RedisReadiness(harness.client, clock)
    await asyncio.gather(*(readiness.check() for _ in range(100)))
    await readiness.check()
    first = len(written)
    clock.advance(REMEMBERED_FOR)
    await asyncio.gather(*(readiness.check() for _ in range(100)))

    assert (first, len(written)) == (1, 2)


async def test_a_caller_that_leaves_does_not_end_the_check_of_the_others(
    harness: RedisHarness,
) -> None:
    readiness = RedisReadiness(harness.client, ManualClock())
    leaving = asyncio.create_task(readiness.check())
    staying = asyncio.create_task(readiness.check())
    await asyncio.sleep(0)
    leaving.cancel()

    await staying


async def test_a_failed_check_is_remembered_as_well(own_server: RedisProcess) -> None:
    clock = ManualClock()
    async with redis_harness(own_server.url) as harness:
        readiness = RedisReadiness(harness.client, clock)
        await harness.redis.replicaof("127.0.0.1", "1")
        first = await is_ready(harness, readiness)
        await harness.redis.replicaof("NO", "ONE")
        second = await is_ready(harness, readiness)
        clock.advance(REMEMBERED_FOR)

        assert (first, second, await is_ready(harness, readiness)) == (False, False, True)
