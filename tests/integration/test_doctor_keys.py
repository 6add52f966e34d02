"""Which master keys ``privity doctor`` reports as still needed."""

import asyncio
import base64
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.builders import OWNER, a_conversation
from tests.support.doctor import findings, recommended_server, run_doctor, url_of
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import NEWER, RING, redis_harness


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with recommended_server() as server:
        yield server


def store_conversation(server: RedisProcess) -> None:
    """Store one conversation, sealed with the key ``first``, and nothing else."""

    async def store() -> None:
        async with redis_harness(url_of(server, "default"), RING) as harness:
            await harness.redis.flushdb()
            await harness.store.create(OWNER, a_conversation())

    asyncio.run(store())


def empty(server: RedisProcess) -> None:
    with Redis.from_url(url_of(server, "default")) as redis:
        redis.flushdb()


def test_an_old_key_is_needed_while_a_conversation_is_sealed_with_it(
    server: RedisProcess,
) -> None:
    store_conversation(server)
    needed = findings(run_doctor(url_of(server), f"{NEWER},{RING}"))
    empty(server)
    free = findings(run_doctor(url_of(server), f"{NEWER},{RING}"))

    assert needed["key 'second'"] == ("ok", "active")
    assert needed["key 'first'"] == ("ok", "still needed by 1 conversations")
    assert free["key 'first'"][1].startswith("not in use; can be removed")


def test_conversations_are_not_counted_where_that_would_count_as_use(server: RedisProcess) -> None:
    store_conversation(server)
    found = findings(run_doctor(url_of(server, "blind"), f"{NEWER},{RING}"))

    assert found["key 'first'"][1].startswith("can be removed 24 hours after")


def test_a_key_that_was_removed_too_early_is_a_problem(server: RedisProcess) -> None:
    store_conversation(server)
    third = "third:" + base64.b64encode(b"a third master key of 32 bytes..").decode()
    ended = run_doctor(url_of(server), f"{NEWER},{third}")
    empty(server)

    assert findings(ended)["keys"][0] == "problem"
    assert ended.code == 2


def test_the_doctor_changes_nothing_and_does_not_count_as_use(server: RedisProcess) -> None:
    store_conversation(server)
    with Redis.from_url(url_of(server, "default")) as redis:
        [key] = redis.keys("*")
        content, expires_at = redis.dump(key), redis.pexpiretime(key)
        # Restored as a key that has not been used for long.
        redis.restore(key, expires_at, content, replace=True, absttl=True, idletime=1_000)
        run_doctor(url_of(server), f"{NEWER},{RING}")

        assert redis.object("idletime", key) >= 1_000
        assert (redis.dump(key), redis.pexpiretime(key)) == (content, expires_at)
