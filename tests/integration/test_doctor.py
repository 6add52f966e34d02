"""``privity doctor`` before real servers: what it finds, and what its exit code says."""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.doctor import examined, lines, planned_server, url_of
from tests.support.processes import run_cli_in_process
from tests.support.redis_servers import (
    RedisProcess,
    embedded_binary,
    free_port,
    redis_process,
)


@pytest.fixture(scope="module")
def planned() -> Iterator[RedisProcess]:
    with planned_server() as server:
        yield server


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
    ended = run_cli_in_process("doctor", REDIS_ENABLED="false")

    assert lines(ended)["storage"] == ("ok", "memory; a restart forgets everything")
    assert ended.code == 0
