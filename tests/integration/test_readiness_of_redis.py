"""A Redis that answers and takes no writes keeps no conversations, so nobody is sent here."""

import pytest

from adapters.encrypted_redis.readiness import RedisReadiness
from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, a_conversation, asked
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import Storing, storing

FULL = {"maxmemory-policy": "noeviction", "maxmemory": "1mb"}


async def is_ready(kept: Storing) -> bool:
    try:
        await RedisReadiness(kept.commands).check()
    except StoreUnavailable:
        return False
    return True


async def test_a_full_server_is_not_ready_until_it_has_room_again(own_server: RedisProcess) -> None:
    async with storing(own_server.url) as kept:
        for name, value in FULL.items():
            await kept.redis.config_set(name, value)
        with pytest.raises(StoreUnavailable):
            await kept.store.create(OWNER, asked(a_conversation()))

        assert not await is_ready(kept)

        await kept.redis.config_set("maxmemory", "0")
        assert await is_ready(kept)


async def test_a_replica_is_not_ready(own_server: RedisProcess) -> None:
    async with storing(own_server.url) as kept:
        await kept.redis.replicaof("127.0.0.1", "1")

        assert not await is_ready(kept)


async def test_asking_leaves_nothing_behind(kept: Storing) -> None:
    assert await is_ready(kept)

    assert await kept.redis.dbsize() == 0
