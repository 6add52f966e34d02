"""A primary that has become a replica, behind a name that leads elsewhere by now."""

import asyncio
from contextlib import suppress

from ports.errors import StoreUnavailable
from tests.support.builders import OWNER, REF, a_conversation, texts_of, with_question
from tests.support.proxies import proxy_to
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness


async def test_the_new_primary_is_found_over_a_new_connection(
    harness: RedisHarness, own_server: RedisProcess
) -> None:
    async with (
        proxy_to(own_server.port) as name,
        redis_harness(f"redis://127.0.0.1:{name.port}/0") as ours,
        redis_harness(own_server.url) as former,
    ):
        await ours.client.call_idempotent("test", "PING")
        await former.redis.replicaof("127.0.0.1", "1")
        name.target = int(harness.redis.connection_pool.connection_kwargs["port"])
        await asyncio.wait_for(_stored(ours), 20)

        assert texts_of(await harness.store.load(REF)) == ["Hello?"]
        assert name.accepted == 2


async def _stored(ours: RedisHarness) -> None:
    while True:
        with suppress(StoreUnavailable):
            await ours.store.create(OWNER, with_question(a_conversation()))
            return
