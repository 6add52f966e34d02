"""``privity doctor`` against real servers: its findings and its exit code."""

import json
import shlex
from collections.abc import Iterator

import pytest
from redis import Redis

from adapters.encrypted_redis.diagnostics import connection_findings
from ports.findings import Level
from tests.support.clocks import ShiftedClock
from tests.support.doctor import advice, findings, recommended_server, run_doctor, url_of
from tests.support.processes import run_cli_in_process
from tests.support.redis_servers import RedisProcess, embedded_binary, free_port, redis_process
from tests.support.redis_store import RING, RedisHarness


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
        *("settings", "storage", "TLS", "Redis", "round trip", "user", "clock", "version"),
        *("maxmemory", "maxmemory-policy", "appendonly", "persistence", "appendfsync"),
        *("permissions", "trial conversation", "key 'first'", "conversations"),
    }


def test_a_server_with_default_settings_has_warnings(shared_server: RedisProcess) -> None:
    ended = run_doctor(shared_server.url)

    warnings = {topic for topic, (level, _) in findings(ended).items() if level == "warning"}
    assert warnings == {"user", "maxmemory", "maxmemory-policy", "appendonly"}
    assert "Replace PASSWORD, and put both into REDIS_URL" in findings(ended)["user"][1]
    assert ended.code == 1


def test_the_lines_to_paste_make_the_warnings_go_away(own_server: RedisProcess) -> None:
    before = run_doctor(own_server.url)
    with Redis(port=own_server.port) as redis:
        for topic, (level, _) in findings(before).items():
            if level == "warning":
                program, *command = shlex.split(advice(before, topic))
                redis.execute_command(*command)
                assert program == "redis-cli"
    after = run_doctor(url_of(own_server, "privity", "PASSWORD"))

    assert after.code == 0, after.out


def test_settings_that_cannot_be_read_are_unknown(server: RedisProcess) -> None:
    ended = run_doctor(url_of(server, "blind"))

    found = findings(ended)
    unknown = {topic for topic, (level, _) in found.items() if level == "unknown"}
    assert unknown == {"server", "appendfsync", "conversations"}
    assert ended.code == 0


def test_each_finding_that_is_not_good_says_what_to_do(shared_server: RedisProcess) -> None:
    documents = json.loads(run_doctor(shared_server.url, RING, "--json").out)

    assert {document["level"] for document in documents} == {"ok", "warning"}
    assert [one for one in documents if (one["level"] == "ok") == bool(one["advice"])] == []


def test_each_line_fits_into_a_terminal_unless_it_is_to_be_pasted(server: RedisProcess) -> None:
    lines = run_doctor(url_of(server, "blind")).out.splitlines()

    assert [line for line in lines if len(line) > 100 and "redis-cli" not in line] == []


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
    assert {level for level, _ in findings(ended).values()} == {"ok"}, ended.out
    assert ended.code == 0


async def test_a_clock_that_differs_from_that_of_redis_is_a_warning(harness: RedisHarness) -> None:
    # Its day is a fixed one.
    clock = ShiftedClock()
    found = {one.topic: one for one in await connection_findings(harness.client, clock, "chat")}

    assert found["clock"].level is Level.WARNING
    assert "timedatectl" in found["clock"].advice


def test_a_cluster_is_a_problem() -> None:
    with redis_process(embedded_binary(), "--cluster-enabled", "yes") as server:
        ended = run_doctor(server.url)

    assert findings(ended)["cluster"] == ("problem", "Redis Cluster is not supported")
    assert ended.code == 2


def test_a_server_that_never_forces_its_file_to_the_disk_is_a_warning(
    own_server: RedisProcess,
) -> None:
    with Redis(port=own_server.port) as redis:
        redis.config_set("appendfsync", "no")
        before = run_doctor(own_server.url)
        redis.execute_command(*shlex.split(advice(before, "appendfsync"))[1:])
    after = run_doctor(own_server.url)

    assert findings(before)["appendfsync"][0] == "warning"
    assert findings(after)["appendfsync"] == ("ok", "everysec")
