"""A primary that became a replica, and whose host name leads to the new primary by now."""

import asyncio
from contextlib import suppress

from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, REF, a_conversation, texts_of, with_question
from tests.support.proxies import proxy_to
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness


async def test_a_new_connection_reaches_the_new_primary(
    harness: RedisHarness, own_server: RedisProcess
) -> None:
    async with (
        proxy_to(own_server.port) as proxy,
        redis_harness(f"redis://127.0.0.1:{proxy.port}/0") as ours,
        redis_harness(own_server.url) as former,
    ):
        await ours.client.call_idempotent("test", "PING")
        await former.redis.replicaof("127.0.0.1", "1")
        proxy.target = int(harness.redis.connection_pool.connection_kwargs["port"])
        await asyncio.wait_for(_create(ours), 20)

        assert texts_of(await harness.store.load(REF)) == ["Hello?"]
        assert proxy.accepted == 2


async def _create(ours: RedisHarness) -> None:
    while True:
        with suppress(StoreUnavailable):
            await ours.store.create(OWNER, with_question(a_conversation()))
            return
