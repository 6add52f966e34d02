"""``privity doctor`` against real servers: its findings and its exit code."""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.doctor import findings, recommended_server, run_doctor, url_of
from tests.support.processes import run_cli_in_process
from tests.support.redis_servers import RedisProcess, embedded_binary, free_port, redis_process


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with recommended_server() as server:
        yield server


def test_a_server_with_the_recommended_settings_has_no_warning(server: RedisProcess) -> None:
    ended = run_doctor(url_of(server))

    found = findings(ended)
    assert {level for level, _ in found.values()} == {"ok"}, ended.out
    assert ended.code == 0
    assert set(found) >= {
        *("settings", "TLS", "Redis", "round trip", "user", "clock", "version", "maxmemory"),
        *("maxmemory-policy", "appendonly", "persistence", "appendfsync", "key 'first'"),
    }


def test_a_server_with_default_settings_has_warnings(shared_server: RedisProcess) -> None:
    ended = run_doctor(shared_server.url)

    warnings = {topic for topic, (level, _) in findings(ended).items() if level == "warning"}
    assert warnings == {"user", "maxmemory", "maxmemory-policy", "appendonly"}
    assert ended.code == 1


def test_settings_that_cannot_be_read_are_left_to_the_operator(server: RedisProcess) -> None:
    ended = run_doctor(url_of(server, "blind"))

    found = findings(ended)
    hidden = {topic for topic, (_, text) in found.items() if "please verify" in text}
    assert hidden == {"settings", "user", "clock"}
    assert ended.code == 0


def test_a_wrong_password_is_a_problem_and_is_not_shown(server: RedisProcess) -> None:
    ended = run_doctor(url_of(server, secret="PLANTED"))

    assert findings(ended)["Redis"] == (
        "problem",
        f"Redis at 127.0.0.1:{server.port}: wrong user or password.",
    )
    assert ended.code == 2
    assert "PLANTED" not in ended.out + ended.err


def test_a_server_that_cannot_persist_is_a_problem() -> None:
    with redis_process(embedded_binary()) as server, Redis(port=server.port) as redis:
        # A directory is where its file should be.
        server.directory.joinpath("dump.rdb").mkdir()
        redis.bgsave()
        while redis.info("persistence")["rdb_bgsave_in_progress"]:
            pass
        ended = run_doctor(server.url)

    assert findings(ended)["persistence"][0] == "problem"
    assert ended.code == 2


def test_a_plaintext_connection_to_another_machine_is_a_problem_of_the_settings() -> None:
    ended = run_doctor("redis://redis.example:6379/0")

    assert findings(ended)["settings"][0] == "problem"
    assert ended.code == 2


def test_wrong_settings_are_all_named_and_no_server_is_contacted() -> None:
    ended = run_doctor(f"redis://127.0.0.1:{free_port()}", keys="first:short", PRIVITY_PROXIES="x")

    assert ended.code == 2
    assert set(findings(ended)) == {"settings"}


def test_in_memory_storage_needs_no_server() -> None:
    ended = run_cli_in_process("doctor", REDIS_ENABLED="false")

    assert findings(ended)["storage"] == ("ok", "memory; a restart forgets everything")
    assert ended.code == 0
