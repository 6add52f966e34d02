"""``privity doctor`` tries every command and every script, and leaves nothing behind."""

import secrets
import shlex
from collections.abc import Iterator
from typing import Any, Final

import pytest
from redis import Redis

from adapters.encrypted_redis import keys_and_scripts
from adapters.encrypted_redis.keys_and_scripts import Script
from adapters.encrypted_redis.permission_check import permission_findings
from adapters.encrypted_redis.trial_conversation import TrialConversation
from adapters.sealing.key_ring import KeyRing
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from ports.errors import StoreUnavailable
from ports.findings import Finding, Level
from tests.support.doctor import (
    OPTIONAL,
    advice,
    documented_rules,
    findings,
    run_doctor,
    set_user,
    url_of,
)
from tests.support.processes import Ended
from tests.support.redis_servers import (
    RedisProcess,
    embedded_binary,
    free_port,
    redis_binary,
    redis_process,
)
from tests.support.redis_store import RING, RedisHarness, redis_harness

COMMANDS, KEYS = documented_rules()
CONNECTING: Final = ("+ping", "+select")
REQUIRED: Final = [rule for rule in COMMANDS if rule not in (*OPTIONAL, *CONNECTING)]
SCRIPTS: Final[set[Script]] = {
    value for value in vars(keys_and_scripts).values() if isinstance(value, Script)
}
IN_ORDER: Final = sorted(SCRIPTS, key=lambda script: script.digest)


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    binary = embedded_binary() if request.param == "valkey" else redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with redis_process(binary) as server:
        yield server


def trial(harness: RedisHarness) -> TrialConversation:
    ring = KeyRing.parse(RING)
    return TrialConversation.new(harness.client, ring, SystemClock(), RandomIdentifiers())


async def permissions_of(server: RedisProcess, user: str) -> list[Finding]:
    async with redis_harness(url_of(server, user)) as harness:
        return await permission_findings(harness.client, f"doctor{secrets.token_hex(8)}", user)


def keys_in(server: RedisProcess) -> list[Any]:
    with Redis.from_url(server.url) as redis:
        return list(redis.keys("*"))


def problems_of(ended: Ended) -> list[str]:
    return [topic for topic, (level, _) in findings(ended).items() if level == "problem"]


def paste(server: RedisProcess, line: str) -> None:
    program, *command = shlex.split(line)
    assert program == "redis-cli"
    with Redis.from_url(server.url) as redis:
        redis.execute_command(*command)


@pytest.mark.parametrize(
    "rule", [rule for rule in COMMANDS if rule not in (*OPTIONAL, *CONNECTING)]
)
async def test_a_missing_command_is_named_and_the_line_to_paste_grants_it(
    server: RedisProcess, rule: str
) -> None:
    set_user(server, "chat", [other for other in COMMANDS if other != rule], KEYS)
    [found] = await permissions_of(server, "chat")
    paste(server, found.advice)

    name = rule.removeprefix("+")
    assert (found.level, found.topic) == (Level.PROBLEM, "permissions")
    assert found.text == f"the Redis user may not use {name.upper()}"
    assert found.advice == shlex.join(["redis-cli", "ACL", "SETUSER", "chat", rule])
    assert [one.level for one in await permissions_of(server, "chat")] == [Level.GOOD]


@pytest.mark.parametrize("pattern", KEYS)
async def test_a_missing_key_pattern_is_named_and_the_line_to_paste_grants_it(
    server: RedisProcess, pattern: str
) -> None:
    set_user(server, "chat", COMMANDS, [other for other in KEYS if other != pattern])
    [found] = await permissions_of(server, "chat")
    paste(server, found.advice)

    assert found.text == f"the Redis user may not use the keys {pattern.removeprefix('~')}"
    assert [one.level for one in await permissions_of(server, "chat")] == [Level.GOOD]


@pytest.mark.parametrize("rule", ["+get", "+del", "+pexpire"])
async def test_the_keys_of_the_check_are_deleted_or_expire(server: RedisProcess, rule: str) -> None:
    set_user(server, "chat", [other for other in COMMANDS if other != rule], KEYS)
    with Redis.from_url(server.url) as redis:
        redis.flushdb()
        await permissions_of(server, "chat")
        lifetimes = [redis.pttl(key) for key in redis.keys("*")]

    assert len(lifetimes) == (5 if rule == "+del" else 0)
    assert all(0 < lifetime <= 10_000 for lifetime in lifetimes)


async def test_keys_that_could_not_be_removed_never_stay(server: RedisProcess) -> None:
    set_user(server, "chat", [rule for rule in COMMANDS if rule not in ("+del", "+pexpire")], KEYS)
    with Redis.from_url(server.url) as redis:
        redis.flushdb()
        await permissions_of(server, "chat")
        lifetimes = [redis.pttl(key) for key in redis.keys("*")]

    assert all(0 < lifetime <= 10_000 for lifetime in lifetimes)


@pytest.mark.parametrize("permitted", ["+del", "+pexpire"])
async def test_one_line_grants_all_that_is_missing(server: RedisProcess, permitted: str) -> None:
    set_user(server, "chat", ["+ping", permitted], KEYS[:2])
    [found] = await permissions_of(server, "chat")
    paste(server, found.advice)

    assert f"may not use {len(REQUIRED) - 1} commands that the service needs" in found.text
    assert [one.level for one in await permissions_of(server, "chat")] == [Level.GOOD]


async def test_the_documented_permissions_are_enough_for_the_trial_conversation(
    server: RedisProcess,
) -> None:
    set_user(server, "chat", [rule for rule in COMMANDS if rule not in OPTIONAL], KEYS)
    async with redis_harness(url_of(server)) as harness, redis_harness(server.url) as admin:
        await admin.redis.flushdb()
        found = await trial(harness).findings()

    assert [one.level for one in found] == [Level.GOOD], found
    assert keys_in(server) == []


@pytest.mark.parametrize("rule", OPTIONAL)
def test_what_may_not_be_read_is_unknown_and_the_line_to_paste_permits_it(
    server: RedisProcess, rule: str
) -> None:
    set_user(server, "chat", [other for other in COMMANDS if other != rule], KEYS)
    before = run_doctor(url_of(server))
    unknown = [topic for topic, (level, _) in findings(before).items() if level == "unknown"]
    paste(server, advice(before, unknown[0]))
    after = {level for level, _ in findings(run_doctor(url_of(server))).values()}

    assert len(unknown) == 1
    assert before.code < 2
    assert "unknown" not in after


@pytest.mark.parametrize(("rule", "db"), [("+ping", 0), ("+select", 3)])
def test_a_user_that_cannot_even_connect_is_a_problem(
    server: RedisProcess, rule: str, db: int
) -> None:
    set_user(server, "chat", [other for other in COMMANDS if other != rule], KEYS)
    ended = run_doctor(url_of(server, db=db))

    paste(server, advice(ended, "Redis"))

    assert findings(ended)["Redis"][0] == "problem"
    assert ended.code == 2
    assert findings(run_doctor(url_of(server, db=db)))["Redis"][0] == "ok"


async def test_every_script_of_the_service_is_run(
    harness: RedisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_script, seen = harness.client.run_script, set()

    async def recording(operation: str, script: Script, *arguments: Any, **options: Any) -> Any:
        seen.add(script)
        return await run_script(operation, script, *arguments, **options)

    monkeypatch.setattr(harness.client, "run_script", recording)
    await trial(harness).findings()

    assert seen == SCRIPTS


@pytest.mark.parametrize("failing", IN_ORDER)
async def test_a_trial_that_fails_is_a_problem_and_leaves_nothing(
    harness: RedisHarness, monkeypatch: pytest.MonkeyPatch, failing: Script
) -> None:
    run_script = harness.client.run_script

    async def breaking(operation: str, script: Script, *arguments: Any, **options: Any) -> Any:
        if script is failing:
            raise StoreUnavailable(operation)
        return await run_script(operation, script, *arguments, **options)

    monkeypatch.setattr(harness.client, "run_script", breaking)
    [found] = await trial(harness).findings()

    assert found.level is Level.PROBLEM
    assert await harness.redis.keys("*") == []


async def test_a_trial_conversation_that_cannot_be_deleted_expires_within_an_hour(
    harness: RedisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = trial(harness)

    async def not_deleted(_: TrialConversation) -> None:
        return None

    monkeypatch.setattr(TrialConversation, "_delete_keys", not_deleted)
    monkeypatch.setattr(TrialConversation, "_forget", not_deleted)
    await conversation.findings()
    lifetimes = [await harness.redis.pttl(key) for key in await harness.redis.keys("*")]

    assert len(lifetimes) > 1
    assert all(0 < lifetime <= 3_600_000 for lifetime in lifetimes)


def test_a_read_only_replica_is_a_problem(own_server: RedisProcess) -> None:
    with Redis.from_url(own_server.url) as redis:
        redis.replicaof("127.0.0.1", str(free_port()))
    ended = run_doctor(own_server.url)

    assert findings(ended)["writes"] == (
        "problem",
        "the server is a replica, which accepts no writes",
    )
    assert "primary" in advice(ended, "writes")
    assert problems_of(ended) == ["writes"]
    assert ended.code == 2


def test_a_full_server_that_evicts_nothing_is_a_problem(own_server: RedisProcess) -> None:
    with Redis.from_url(own_server.url) as redis:
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", "1")
    ended = run_doctor(own_server.url)
    paste(own_server, advice(ended, "writes"))

    assert findings(ended)["writes"][0] == "problem"
    assert "full" in findings(ended)["writes"][1]
    assert problems_of(ended) == ["writes"]
    assert ended.code == 2
    with Redis.from_url(own_server.url) as redis:
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}


def test_a_server_whose_disk_fails_is_a_problem() -> None:
    with (
        redis_process(embedded_binary(), "--save", "3600 1") as server,
        Redis.from_url(server.url) as redis,
    ):
        # A directory is where its file should be.
        server.directory.joinpath("dump.rdb").mkdir()
        redis.set("x", 1)
        redis.bgsave()
        while redis.info("persistence")["rdb_bgsave_in_progress"]:
            pass
        ended = run_doctor(server.url)

    # Such a server answers even a PING with an error.
    assert findings(ended)["Redis"][0] == "problem"
    assert "cannot write to its disk" in findings(ended)["Redis"][1]
    assert ended.code == 2
