"""A flood of readiness checks does not become a flood of writes to Redis."""

import asyncio

from redis.asyncio import Redis

from tests.support.native_client import NativeClient
from tests.support.processes import serving
from tests.support.redis_servers import embedded_binary, redis_process
from tests.support.redis_store import RING

REQUESTS = 200
AT_ONCE = 20


async def scripts_run(redis: "Redis") -> int:
    """How many scripts the server has run."""
    stats = await redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


async def test_a_flood_of_readiness_checks_sends_at_most_one_write_per_second() -> None:
    with redis_process(embedded_binary()) as server:
        async with (
            serving(REDIS_URL=server.url, PRIVITY_KEYS=RING) as process,
            Redis.from_url(server.url) as redis,
        ):
            client = NativeClient(process.url)
            before = await scripts_run(redis)
            statuses = set()
            for _ in range(REQUESTS // AT_ONCE):
                answers = await asyncio.gather(
                    *(client.get("/health/ready") for _ in range(AT_ONCE))
                )
                statuses |= {answer.status for answer in answers}
            written = await scripts_run(redis) - before

    assert statuses == {200}
    assert 1 <= written <= REQUESTS // 10
