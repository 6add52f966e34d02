"""``privity doctor`` before real servers: what it finds, and what its exit code says."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.builders import OWNER, a_conversation
from tests.e2e.processes import Ended, ran_here
from tests.integration.redis_servers import (
    RedisProcess,
    embedded_binary,
    free_port,
    redis_process,
)
from tests.integration.storing import NEWER, RING, Storing, storing

SECRET = "a_planted_password"
COMMANDS = "+ping +select +eval +evalsha +lrange +lindex +rpush +pttl +pexpire +scan"
AS_PLANNED = (
    *("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
    *("--appendonly", "yes"),
)


def examined(url: str, keys: str = RING, **settings: str) -> Ended:
    return ran_here("doctor", REDIS_URL=url, PRIVITY_KEYS=keys, **settings)


def users(directory: Path) -> Path:
    """The service's own user, once with a look at the settings and once without."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    file = directory / "users.acl"
    file.write_text(
        f"user default on #{digest} ~* +@all\n"
        f"user chat on #{digest} ~*conversation:* -@all {COMMANDS} "
        "+info +time +acl|whoami +config|get +client|no-touch\n"
        f"user blind on #{digest} ~*conversation:* -@all {COMMANDS}\n"
    )
    return file


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A server as the plan wants it."""
    aclfile = users(tmp_path_factory.mktemp("acl"))
    with redis_process(embedded_binary(), *AS_PLANNED, "--aclfile", str(aclfile)) as server:
        yield server


def url_of(server: RedisProcess, user: str = "chat", secret: str = SECRET) -> str:
    return f"redis://{user}:{secret}@127.0.0.1:{server.port}/0"


def lines(ended: Ended) -> dict[str, tuple[str, str]]:
    """Level and text of every finding."""
    told = (line.split(maxsplit=1) for line in ended.out.splitlines())
    return {
        topic: (level, text)
        for level, finding in told
        for topic, _, text in [finding.partition(": ")]
    }


def test_a_server_as_planned_has_no_finding(planned: RedisProcess) -> None:
    ended = examined(url_of(planned))

    found = lines(ended)
    assert {level for level, _ in found.values()} == {"ok"}, ended.out
    assert ended.code == 0
    assert set(found) >= {
        *("settings", "TLS", "Redis", "round trip", "user", "clock", "version", "maxmemory"),
        *("maxmemory-policy", "appendonly", "persistence", "appendfsync", "key first"),
    }


def test_a_server_as_it_comes_is_warned_of(shared_server: RedisProcess) -> None:
    ended = examined(shared_server.url)

    warned = {topic for topic, (level, _) in lines(ended).items() if level == "warning"}
    assert warned == {"user", "maxmemory", "maxmemory-policy", "appendonly"}
    assert ended.code == 1


def test_what_the_server_does_not_show_is_declared_by_the_operator(planned: RedisProcess) -> None:
    ended = examined(url_of(planned, "blind"))

    found = lines(ended)
    hidden = {topic for topic, (_, text) in found.items() if "not readable, declared by" in text}
    assert hidden == {"settings", "user", "clock"}
    assert ended.code == 0


def test_a_wrong_password_is_a_problem_and_is_not_shown(planned: RedisProcess) -> None:
    ended = examined(url_of(planned, secret="PLANTED"))

    assert lines(ended)["Redis"] == (
        "problem",
        f"Redis at 127.0.0.1:{planned.port} refuses us (WRONGPASS).",
    )
    assert ended.code == 2
    assert "PLANTED" not in ended.out + ended.err


def test_a_server_that_cannot_persist_is_a_problem() -> None:
    with redis_process(embedded_binary()) as server, Redis(port=server.port) as redis:
        # Where its file should go, there is something else.
        server.directory.joinpath("dump.rdb").mkdir()
        redis.bgsave()
        while redis.info("persistence")["rdb_bgsave_in_progress"]:
            pass
        ended = examined(server.url)

    assert lines(ended)["persistence"][0] == "problem"
    assert ended.code == 2


def test_plain_connections_beyond_this_machine_are_refused_as_a_setting() -> None:
    ended = examined("redis://redis.example:6379/0")

    assert lines(ended)["settings"][0] == "problem"
    assert ended.code == 2


def test_wrong_settings_are_all_named_and_no_server_is_asked() -> None:
    ended = examined(f"redis://127.0.0.1:{free_port()}", keys="first:short", PRIVITY_PROXIES="x")

    assert ended.code == 2
    assert set(lines(ended)) == {"settings"}


def test_memory_needs_no_server() -> None:
    ended = ran_here("doctor", REDIS_ENABLED="false")

    assert lines(ended)["storage"] == ("ok", "memory; a restart forgets everything")
    assert ended.code == 0


def having(server: RedisProcess, ring: str, does: Callable[[Storing], Awaitable[None]]) -> None:
    """Do something with what is stored, under this ring."""

    async def doing() -> None:
        async with storing(url_of(server, "default"), ring) as kept:
            await kept.redis.flushdb()
            await does(kept)

    asyncio.run(doing())


async def a_conversation_kept(kept: Storing) -> None:
    await kept.store.create(OWNER, a_conversation())


async def nothing(_: Storing) -> None:
    pass


def test_an_old_key_is_needed_as_long_as_something_is_sealed_under_it(
    planned: RedisProcess,
) -> None:
    having(planned, RING, a_conversation_kept)
    needed = lines(examined(url_of(planned), f"{NEWER},{RING}"))
    having(planned, RING, nothing)
    free = lines(examined(url_of(planned), f"{NEWER},{RING}"))

    assert needed["key second"] == ("ok", "seals")
    assert needed["key first"] == ("ok", "still needed by 1 conversations")
    assert free["key first"][1].startswith("not in use now")


def test_where_use_would_be_counted_nothing_is_counted(planned: RedisProcess) -> None:
    having(planned, RING, a_conversation_kept)
    told = lines(examined(url_of(planned, "blind"), f"{NEWER},{RING}"))

    assert told["key first"][1].startswith("can go 24 hours after")


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
