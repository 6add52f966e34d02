"""Connecting as a user, to a database or a socket, and waiting for a Redis that is not there."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from adapters.encrypted_redis.connecting import RedisAddress, RedisUnreachable, open_redis
from adapters.encrypted_redis.process_lease import RedisProcessLease
from adapters.system.clock import SystemClock
from tests.support.builders import PROCESS
from tests.support.fakes import RecordingTelemetry
from tests.support.redis_connections import answers, connect_error, connected_client
from tests.support.redis_servers import RedisProcess, embedded_binary, free_port, redis_process

SECRET = "a_planted_password"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A server with a password, an ACL user, a socket, and every loopback address."""
    users = tmp_path_factory.mktemp("acl") / "users.acl"
    users.write_text(
        f"user default on >{SECRET} ~* +@all\n"
        f"user chat on >{SECRET} ~conversation:* -@all +ping +select\n"
    )
    socket = users.with_name("redis.sock")
    options = ("--aclfile", str(users), "--unixsocket", str(socket), "--bind", "127.0.0.1", "::1")
    with redis_process(embedded_binary(), *options) as server:
        yield server


@pytest.mark.parametrize(
    "url",
    [
        "redis://:{secret}@127.0.0.1:{port}/0",
        "redis://chat:{secret}@127.0.0.1:{port}/3",
        "redis://:{secret}@[::1]:{port}/0",
        "unix://:{secret}@{socket}?db=2",
    ],
)
async def test_passwords_users_databases_addresses_and_sockets_are_taken_from_the_url(
    guarded: RedisProcess, url: str
) -> None:
    socket = next(option for option in guarded.options if str(option).endswith("redis.sock"))

    assert await answers(
        RedisAddress(url=url.format(secret=SECRET, port=guarded.port, socket=socket))
    )


async def test_a_user_that_may_not_renew_the_lease_is_refused_at_the_start(
    guarded: RedisProcess,
) -> None:
    address = RedisAddress(url=f"redis://chat:{SECRET}@127.0.0.1:{guarded.port}/0")
    clock = SystemClock()
    lease = RedisProcessLease(PROCESS, clock)
    with pytest.raises(RedisUnreachable, match="the user lacks permissions") as caught:
        async with open_redis(
            address, clock=clock, telemetry=RecordingTelemetry(), check=lease.renew
        ):
            pass

    assert SECRET not in str(caught.value)


async def test_the_database_number_is_taken_from_the_url(shared_server: RedisProcess) -> None:
    base = f"redis://127.0.0.1:{shared_server.port}"
    async with (
        connected_client(RedisAddress(url=f"{base}/5")) as five,
        connected_client(RedisAddress(url=base)) as zero,
    ):
        await five.call_once("test", "SET", "only-here", "1")

        assert await zero.call_once("test", "EXISTS", "only-here") == 0
        assert await five.call_once("test", "DEL", "only-here") == 1


@pytest.mark.parametrize(
    ("credentials", "cause"),
    [(":wrong-secret@", "wrong user or password"), ("", "a password is required")],
)
async def test_denied_access_is_reported_at_once_and_no_password_is_shown(
    guarded: RedisProcess, credentials: str, cause: str
) -> None:
    error = await connect_error(
        RedisAddress(url=f"redis://{credentials}127.0.0.1:{guarded.port}/0")
    )

    assert error.startswith(f"Redis at 127.0.0.1:{guarded.port}: {cause}. ")
    assert "wrong-secret" not in error


async def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    port = free_port()
    error = await connect_error(RedisAddress(url=f"redis://user:{SECRET}@localhost:{port}/0"))

    assert error.startswith(f"Redis at localhost:{port}: connection refused. ")
    assert SECRET not in error


def test_an_address_shows_no_password() -> None:
    address = RedisAddress(url="rediss://user:a%20planted%20password@[2001:db8::1]/4")

    assert str(address) == "[2001:db8::1]:6379"
    assert "planted" not in repr(address)


async def test_a_redis_that_starts_late_is_waited_for(own_server: RedisProcess) -> None:
    own_server.kill()

    class StartingClock(SystemClock):
        """Starts the server at the third pause."""

        pauses = 0

        async def sleep(self, duration: timedelta) -> None:
            StartingClock.pauses += 1
            if StartingClock.pauses == 3:
                own_server.start()
            await super().sleep(duration)

    address = RedisAddress(url=own_server.url)
    async with open_redis(address, clock=StartingClock(), telemetry=RecordingTelemetry()) as client:
        assert await client.call_once("test", "PING") == b"PONG"
    assert StartingClock.pauses >= 3
