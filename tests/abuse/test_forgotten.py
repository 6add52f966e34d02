"""What was forgotten or has expired does not come back."""

import asyncio

from redis.asyncio import Redis

from tests.support.fleet import Fleet, client_of
from tests.support.instructed_model import instruction
from tests.support.processes import serving
from tests.support.proxies import losing_proxy_to
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RING
from tests.support.v1_client import V1Client

# A process that starts a day later.
TOMORROW = """
from datetime import timedelta
from adapters.system.clock import SystemClock
now = SystemClock.now
SystemClock.now = lambda clock: now(clock) + timedelta(hours=24, minutes=2)
from entrypoints.cli.main import run
run()
"""


async def states(redis: "Redis") -> set[str]:
    keys = await redis.keys("conversation:state:*")
    return {str(key, "ascii") for key in keys}  # type: ignore[arg-type]


async def test_a_conversation_deleted_while_its_creation_was_repeated_stays_deleted(
    fleet: Fleet, redis: RedisProcess
) -> None:
    async with losing_proxy_to(redis.port) as proxy, Redis.from_url(redis.url) as stored:
        process = await fleet.start(REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
        other = await fleet.start()
        client = client_of(process)
        await client.get_key()
        await client.send(instruction("before", 1))
        before = await states(stored)
        proxy.losing = b"}:turn"
        sending = asyncio.create_task(client.send(instruction("created", 1)))
        await proxy.lost.wait()
        [created] = await states(stored) - before
        session_id = created.rpartition(":")[2]
        deleted = await client_of(other, client).delete(f"/api/chat?sessionId={session_id}")
        proxy.goes_on.set()
        answer = await sending

        assert deleted.status == 204
        assert await states(stored) == before
        assert (answer.status, answer.code) == (410, "conversation_gone")
        assert fleet.model.requests["created"] == 0


async def test_an_expired_conversation_that_redis_still_has_is_not_served(
    fleet: Fleet, redis: RedisProcess
) -> None:
    client = client_of(await fleet.start())
    session_id = (await client.send(instruction("yesterday", 1))).session_id
    settings = {"REDIS_URL": redis.url, "PRIVITY_KEYS": RING}
    async with (
        serving(TOMORROW, **settings) as process,
        Redis.from_url(redis.url) as stored,
    ):
        history = await client_of(process, client).history(session_id)

        assert (history.status, history.code) == (404, "conversation_not_found")
        assert await states(stored) == set()


async def test_a_repeated_request_meets_no_expired_conversation(
    fleet: Fleet, redis: RedisProcess
) -> None:
    program = await V1Client.new((await fleet.start()).url)
    body, key = {"input": instruction("daily", 1)}, {"idempotency_key": "the-same-every-day"}
    yesterday = await program.post("/v1/responses", body, **key)
    model = {"MODEL_BASE_URL": fleet.model.url, "MODEL_NAME": "instructed"}
    settings = {"REDIS_URL": redis.url, "PRIVITY_KEYS": RING, "PRIVITY_V1": "open", **model}
    async with serving(TOMORROW, **settings) as process:
        later = V1Client(process.url, **program.headers)
        today = await later.post("/v1/responses", body, **key)

    assert [yesterday.status, today.status] == [200, 200]
    assert fleet.model.requests["daily"] == 2
