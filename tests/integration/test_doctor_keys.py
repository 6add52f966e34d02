"""Which master keys ``privity doctor`` reports as still needed."""

import asyncio
import base64
from collections.abc import Iterator
from uuid import UUID

import pytest
from redis import Redis

from adapters.encrypted_redis.keys_and_scripts import state_key
from domain.model.identifiers import SessionId
from tests.support.builders import ID, OWNER, a_conversation
from tests.support.doctor import (
    advice,
    documented_rules,
    findings,
    recommended_server,
    run_doctor,
    set_user,
    url_of,
)
from tests.support.redis_servers import RedisProcess, redis_binary
from tests.support.redis_store import NEWER, RING, redis_harness

THIRD = "third:" + base64.b64encode(b"a third master key of 32 bytes..").decode()


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    """Valkey permits CLIENT NO-TOUCH; Redis 7.0 does not have it."""
    binary = None if request.param == "valkey" else redis_binary()
    if request.param == "redis" and binary is None:
        pytest.skip("redis-server is not installed")
    with recommended_server(binary) as server:
        yield server


def store_conversations(server: RedisProcess, count: int = 1) -> None:
    """Store conversations, sealed with the key ``first``, and nothing else."""

    async def store() -> None:
        async with redis_harness(server.url, RING) as harness:
            await harness.redis.flushdb()
            await harness.store.create(OWNER, a_conversation())
            [frame] = await harness.frames(ID)
            for number in range(1, count):
                # A copy cannot be opened, but its key can be counted.
                session_id = SessionId(str(UUID(int=number)))
                await harness.redis.rpush(state_key(session_id), frame)

    asyncio.run(store())


def empty(server: RedisProcess) -> None:
    with Redis.from_url(server.url) as redis:
        redis.flushdb()


def test_an_old_key_is_needed_while_a_conversation_is_sealed_with_it(
    server: RedisProcess,
) -> None:
    store_conversations(server)
    needed = findings(run_doctor(url_of(server), f"{NEWER},{RING}"))
    empty(server)
    free = findings(run_doctor(url_of(server), f"{NEWER},{RING}"))

    assert needed["key 'second'"] == ("ok", "active")
    assert needed["key 'first'"] == ("ok", "still needed by 1 conversation")
    assert needed["conversations"] == ("ok", "1 stored; PRIVITY_KEYS has all their keys")
    assert free["key 'first'"][1].startswith("not in use; can be removed")
    assert free["conversations"] == ("ok", "none are stored")


def test_conversations_that_may_not_be_counted_are_unknown(server: RedisProcess) -> None:
    store_conversations(server)
    ended = run_doctor(url_of(server, "blind"), f"{NEWER},{RING}")

    assert findings(ended)["key 'first'"][1].startswith("can be removed 24 hours after")
    assert findings(ended)["conversations"][0] == "unknown"
    assert "+scan" in advice(ended, "conversations")


@pytest.mark.parametrize("keys", [NEWER, f"{NEWER},{THIRD}"])
def test_a_key_that_was_removed_too_early_is_a_problem(server: RedisProcess, keys: str) -> None:
    store_conversations(server, 3)
    ended = run_doctor(url_of(server), keys)
    empty(server)

    level, text = findings(ended)["conversations"]
    assert level == "problem"
    assert text == "3 conversations sealed with a key that is not in PRIVITY_KEYS"
    assert "Put that key back" in advice(ended, "conversations")
    assert ended.code == 2


def touch_times(server: RedisProcess, keys: str = RING, user: str = "chat") -> dict[bytes, int]:
    """For how many seconds each conversation looks unused after the doctor has run."""
    with Redis.from_url(server.url) as redis:
        for key in redis.keys("*"):
            # Restored as a key that has not been used for long.
            redis.restore(key, 0, redis.dump(key), replace=True, idletime=1_000)
        run_doctor(url_of(server, user), keys)
        return {key: redis.object("idletime", key) for key in redis.keys("*")}


def test_with_no_touch_conversations_are_neither_changed_nor_counted_as_used() -> None:
    with recommended_server() as server:
        store_conversations(server)
        _require_untouched(server)


def _require_untouched(server: RedisProcess) -> None:
    with Redis.from_url(server.url) as redis:
        [key] = redis.keys("*")
        content, expires_at = redis.dump(key), redis.pexpiretime(key)
        redis.restore(key, expires_at, content, replace=True, absttl=True, idletime=1_000)
        run_doctor(url_of(server), f"{NEWER},{RING}")

        assert redis.object("idletime", key) >= 1_000
        assert (redis.dump(key), redis.pexpiretime(key)) == (content, expires_at)
        assert redis.keys("*") == [key]


@pytest.fixture
def full_server(server: RedisProcess) -> Iterator[RedisProcess]:
    """A server that is about to evict, whose user may not use CLIENT NO-TOUCH."""
    commands, keys = documented_rules()
    set_user(server, "touching", commands, keys)
    store_conversations(server, 300)
    with Redis.from_url(server.url) as redis:
        used = redis.info("memory")["used_memory"]
        redis.config_set("maxmemory", used * 5 // 3)
        yield server
        redis.config_set("maxmemory", "100mb")
        redis.flushdb()


def test_a_server_that_is_about_to_evict_is_read_by_sample(full_server: RedisProcess) -> None:
    ended = run_doctor(url_of(full_server, "touching"), NEWER)
    touched = [time for time in touch_times(full_server, user="touching").values() if time < 1_000]
    older = findings(run_doctor(url_of(full_server, "touching"), f"{NEWER},{RING}"))

    assert findings(ended)["conversations"] == (
        "problem",
        "about 300 conversations sealed with a key that is not in PRIVITY_KEYS",
    )
    assert len(touched) == 200
    assert older["key 'first'"] == ("ok", "still needed by about 300 conversations")
    assert older["conversations"] == (
        "ok",
        "about 300 stored; PRIVITY_KEYS has the keys of the 200 checked",
    )


def test_a_server_with_room_is_read_completely(full_server: RedisProcess) -> None:
    with Redis.from_url(full_server.url) as redis:
        redis.config_set("maxmemory", "100mb")
    ended = run_doctor(url_of(full_server, "touching"), NEWER)

    assert findings(ended)["conversations"][1].startswith("300 conversations sealed")
