"""Which master keys ``privity doctor`` says are still needed."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator

import pytest
from redis import Redis

from tests.support.builders import OWNER, a_conversation
from tests.support.doctor import examined, lines, planned_server, url_of
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import NEWER, RING, RedisHarness, redis_harness


@pytest.fixture(scope="module")
def planned() -> Iterator[RedisProcess]:
    with planned_server() as server:
        yield server


def having(
    server: RedisProcess, ring: str, does: Callable[[RedisHarness], Awaitable[None]]
) -> None:
    """Do something with what is stored, under this ring."""

    async def doing() -> None:
        async with redis_harness(url_of(server, "default"), ring) as harness:
            await harness.redis.flushdb()
            await does(harness)

    asyncio.run(doing())


async def a_conversation_kept(harness: RedisHarness) -> None:
    await harness.store.create(OWNER, a_conversation())


async def nothing(_: RedisHarness) -> None:
    pass


def test_an_old_key_is_needed_as_long_as_something_is_sealed_under_it(
    planned: RedisProcess,
) -> None:
    having(planned, RING, a_conversation_kept)
    needed = lines(examined(url_of(planned), f"{NEWER},{RING}"))
    having(planned, RING, nothing)
    free = lines(examined(url_of(planned), f"{NEWER},{RING}"))

    assert needed["key 'second'"] == ("ok", "active")
    assert needed["key 'first'"] == ("ok", "still needed by 1 conversations")
    assert free["key 'first'"][1].startswith("not in use; can be removed")


def test_where_use_would_be_counted_nothing_is_counted(planned: RedisProcess) -> None:
    having(planned, RING, a_conversation_kept)
    told = lines(examined(url_of(planned, "blind"), f"{NEWER},{RING}"))

    assert told["key 'first'"][1].startswith("can be removed 24 hours after")


def test_a_key_that_was_dropped_too_early_is_a_problem(planned: RedisProcess) -> None:
    having(planned, RING, a_conversation_kept)
    third = "third:" + base64.b64encode(b"a third master key of 32 bytes..").decode()
    ended = examined(url_of(planned), f"{NEWER},{third}")
    having(planned, RING, nothing)

    assert lines(ended)["keys"][0] == "problem"
    assert ended.code == 2


def test_examining_changes_nothing_and_counts_as_no_use(planned: RedisProcess) -> None:
    having(planned, RING, a_conversation_kept)
    with Redis.from_url(url_of(planned, "default")) as redis:
        [key] = redis.keys("*")
        content, stay = redis.dump(key), redis.pexpiretime(key)
        # Given back as one that nobody has used for long.
        redis.restore(key, stay, content, replace=True, absttl=True, idletime=1_000)
        examined(url_of(planned), f"{NEWER},{RING}")

        assert redis.object("idletime", key) >= 1_000
        assert (redis.dump(key), redis.pexpiretime(key)) == (content, stay)
