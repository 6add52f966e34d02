"""A Redis that answers but accepts no writes is not ready."""

import pytest

from adapters.encrypted_redis.readiness import RedisReadiness
from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, a_conversation, with_question
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness

FULL = {"maxmemory-policy": "noeviction", "maxmemory": "1mb"}


async def is_ready(harness: RedisHarness) -> bool:
    try:
        await RedisReadiness(harness.client).check()
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


async def test_the_check_leaves_no_key(harness: RedisHarness) -> None:
    assert await is_ready(harness)

    assert await harness.redis.dbsize() == 0
