"""What the Redis users of docker-compose.yml may do, on each server of this machine."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import frozen
from redis import Redis
from redis.exceptions import NoPermissionError

from tests.architecture.sources import ROOT
from tests.support.compose_preparation import Preparation
from tests.support.redis_kinds import why_no_redis
from tests.support.redis_servers import embedded_binary, redis_binary, redis_process

OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
KEY = "conversation:state:00000000-0000-4000-8000-000000000000"


@frozen(kw_only=True)
class Users:
    """Connections as the service and as the operator, to a server with one conversation."""

    service: Redis
    operator: Redis
    operator_rights: Sequence[str]
    can_leave_the_age: bool
    """Whether the server has ``CLIENT NO-TOUCH``."""


@pytest.fixture(scope="module", params=["valkey", "redis"])
def users(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Users]:
    if request.param == "redis" and (why := why_no_redis()):
        pytest.skip(why)
    binary = embedded_binary() if request.param == "valkey" else redis_binary() or ""
    preparation = Preparation.create(tmp_path_factory.mktemp("compose"))
    preparation.run()
    acl_file = preparation.root / "secrets/redis/users.acl"
    with redis_process(binary, "--aclfile", str(acl_file)) as server:
        yield opened(server.port, preparation)


def opened(port: int, preparation: Preparation) -> Users:
    password = urlsplit(preparation.secret("privity/redis-url")).password
    service = Redis(port=port, username="privity", password=password)
    operator = Redis(
        port=port, username="operator", password=preparation.secret("redis/operator-password")
    )
    service.rpush(KEY, b"a sealed frame")
    service.pexpire(KEY, 60_000)
    version = service.info()["redis_version"]
    has_no_touch = tuple(map(int, version.split(".")[:2])) >= (7, 2)
    rule = preparation.secret("redis/users.acl").partition("user operator ")[2].splitlines()[0]
    return Users(
        service=service,
        operator=operator,
        operator_rights=[word for word in rule.split() if word.startswith("+")],
        can_leave_the_age=has_no_touch,
    )


def sent(connection: Redis, *command: Any) -> Any:
    """The answer to a command for which the client may have no method."""
    return connection.execute_command(*command)  # type: ignore[no-untyped-call]


def test_the_documented_rights_are_those_of_the_operator(users: Users) -> None:
    line = next(line for line in OPERATIONS.splitlines() if "user operator on" in line)
    documented = {word for word in line.split() if word.startswith("+")}

    assert documented == set(users.operator_rights)


def test_the_operator_may_look(users: Users) -> None:
    operator = users.operator

    assert operator.ping()
    assert operator.scan()[1] == [KEY.encode()]
    assert operator.type(KEY) == b"list"
    assert 0 < operator.ttl(KEY) <= 60
    assert 0 < operator.pttl(KEY) <= 60_000
    assert (operator.memory_usage(KEY) or 0) > 0
    assert operator.dbsize() == 1
    assert operator.info()["db0"]["keys"] == 1


@pytest.mark.parametrize(
    "command",
    [
        ("LRANGE", KEY, 0, -1),
        ("LINDEX", KEY, 0),
        ("GET", KEY),
        ("DUMP", KEY),
        ("XRANGE", KEY, "-", "+"),
        ("HGETALL", KEY),
        ("EVAL", "return redis.call('lrange', KEYS[1], 0, -1)", 1, KEY),
        ("COPY", KEY, "other"),
        ("DEL", KEY),
        ("PEXPIRE", KEY, 1),
        ("FLUSHALL",),
        ("CONFIG", "GET", "requirepass"),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("MEMORY", "PURGE"),
        ("MONITOR",),
        ("DEBUG", "SLEEP", 0),
        ("SHUTDOWN",),
    ],
)
def test_the_operator_may_neither_read_nor_change(users: Users, command: tuple[Any, ...]) -> None:
    with pytest.raises(NoPermissionError):
        sent(users.operator, *command)


def test_the_service_may_look_without_making_conversations_younger(users: Users) -> None:
    if not users.can_leave_the_age:
        pytest.skip("Redis before 7.2 has no CLIENT NO-TOUCH")

    assert sent(users.service, "CLIENT", "NO-TOUCH", "ON") in (b"OK", True)


@pytest.mark.parametrize(
    "subcommand", [("LIST",), ("KILL", "127.0.0.1:1"), ("PAUSE", 1), ("NO-EVICT", "ON"), ("ID",)]
)
def test_the_service_may_use_no_other_command_of_that_group(
    users: Users, subcommand: tuple[Any, ...]
) -> None:
    with pytest.raises(NoPermissionError):
        sent(users.service, "CLIENT", *subcommand)
