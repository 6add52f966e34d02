"""Why Redis does not answer at the start: each cause is named, with what to do about it."""

import asyncio
import itertools
import os
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.encrypted_redis.command_queue import Bounds
from adapters.encrypted_redis.connecting import RedisAddress, RedisUnreachable, open_redis
from tests.support.clocks import HastyClock
from tests.support.fakes import RecordingTelemetry
from tests.support.proxies import ConnectionHandler, listening, proxy_to
from tests.support.redis_connections import BRIEF, connect_error
from tests.support.redis_kinds import certificates, installed_with_tls, why_no_redis
from tests.support.redis_servers import RedisProcess, embedded_binary, free_port, redis_process

SECRET = "a_planted_password"
IMPATIENT = Bounds(timeout=BRIEF, grace=BRIEF)
PAST = (datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
FUTURE = (datetime(2098, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))


async def error_at(port: int, scheme: str = "redis", bounds: Bounds | None = None) -> str:
    """The error of a start with this port, with a password and a trusted authority."""
    url = f"{scheme}://user:{SECRET}@localhost:{port}"
    error = await connect_error(RedisAddress(url=url, ca_file=certificates().ca_file), bounds)
    assert SECRET not in error
    return error


def answering(data: bytes) -> ConnectionHandler:
    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        while request := await reader.read(1_024):
            writer.write(data * max(1, request.count(b"PING")))
        writer.close()

    return answer


async def closing(_: StreamReader, writer: StreamWriter) -> None:
    writer.close()


@pytest.fixture(scope="module")
def with_password() -> Iterator[RedisProcess]:
    with redis_process(embedded_binary(), "--requirepass", SECRET, "--maxclients", "1") as server:
        yield server


async def test_a_host_that_is_not_found() -> None:
    error = await connect_error(RedisAddress(url=f"redis://user:{SECRET}@nowhere.invalid:1/0"))

    assert error == (
        "Redis at nowhere.invalid:1: the host name is not found. Check the host in REDIS_URL. In a "
        "container, it is the name of the container of Redis."
    )


async def test_a_refused_connection() -> None:
    port = free_port()

    assert await error_at(port) == (
        f"Redis at localhost:{port}: connection refused. Start Redis, or correct the host and "
        "port in REDIS_URL."
    )


async def test_a_missing_socket(tmp_path: Path) -> None:
    assert "the socket or a certificate file does not exist. Start Redis" in await connect_error(
        RedisAddress(url=f"unix://{tmp_path}/redis.sock")
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every socket")
async def test_a_socket_that_this_user_may_not_use(tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    with redis_process(embedded_binary(), "--unixsocket", str(socket), "--unixsocketperm", "000"):
        assert "no permission to connect" in await connect_error(
            RedisAddress(url=f"unix://{socket}")
        )


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n"])
async def test_a_server_that_is_not_redis(answer: bytes, scheme: str) -> None:
    async with listening(answering(answer)) as port:
        assert "the server is not Redis. Check the host and port" in await error_at(port, scheme)


async def test_a_connection_that_is_closed() -> None:
    async with listening(closing) as port:
        assert "the connection was closed. Check" in await error_at(port)


@pytest.fixture
async def frozen_server() -> AsyncIterator[int]:
    async with listening(answering(b"")) as port:
        yield port


async def test_a_server_that_never_answers(frozen_server: int) -> None:
    assert "no answer in time. Check the host and port" in await error_at(
        frozen_server, bounds=IMPATIENT
    )


async def test_tls_with_a_server_that_uses_none(shared_server: RedisProcess) -> None:
    error = await error_at(shared_server.port, "rediss", IMPATIENT)

    assert "the server does not use TLS. Use redis:// instead of rediss://" in error


async def test_a_plain_connection_to_a_server_that_expects_tls(shared_server: RedisProcess) -> None:
    async with proxy_to(shared_server.port, certificates().context) as proxy:
        error = await error_at(proxy.port)

    assert "the server expects TLS. Use rediss:// instead of redis://" in error


@pytest.mark.skipif(bool(why_no_redis()), reason="redis-server is not installed")
async def test_a_plain_connection_to_a_redis_that_does_tls_itself() -> None:
    async with installed_with_tls() as address:
        port = int(str(address).rpartition(":")[2])

        assert "the server expects TLS" in await error_at(port)


@pytest.mark.parametrize(
    ("valid", "cause"),
    [(PAST, "has expired. Renew it"), (FUTURE, "is not valid yet. Check the clock")],
)
async def test_a_certificate_at_the_wrong_time(
    shared_server: RedisProcess, valid: tuple[datetime, datetime], cause: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begin, end = valid
    issued = certificates().authority.issue_cert("localhost", not_before=begin, not_after=end)
    issued.configure_cert(context)
    async with proxy_to(shared_server.port, context) as proxy:
        assert f"the certificate of the server {cause}" in await error_at(proxy.port, "rediss")


async def test_a_server_without_a_common_version_of_tls() -> None:
    protocol_version_alert = bytes.fromhex("15030300020246")
    async with listening(answering(protocol_version_alert)) as port:
        assert "TLS failed. Check the TLS settings of Redis" in await error_at(port, "rediss")


async def test_a_password_where_none_is_set(shared_server: RedisProcess) -> None:
    error = await connect_error(RedisAddress(url=shared_server.url.replace("//", f"//:{SECRET}@")))

    assert "the default user has no password, but REDIS_URL contains one. Remove" in error


async def test_a_database_that_does_not_exist(shared_server: RedisProcess) -> None:
    error = await connect_error(RedisAddress(url=f"redis://localhost:{shared_server.port}/99"))

    assert "there is no database with that number. Correct the number" in error


async def test_a_server_without_room_for_another_client(with_password: RedisProcess) -> None:
    _, taken = await asyncio.open_connection("127.0.0.1", with_password.port)
    try:
        error = await error_at(with_password.port)
    finally:
        taken.close()

    assert "Redis accepts no more clients. Raise maxclients" in error


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (
            b"-LOADING Redis is loading the dataset in memory\r\n",
            "Redis is still loading its data.",
        ),
        (
            b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
            "Redis is in protected mode, and refuses other machines. Set a password",
        ),
        (b"-NEWERROR a planted text\r\n", "Redis replied with an error. Check the log of Redis."),
    ],
)
async def test_what_redis_replies(reply: bytes, sentence: str) -> None:
    async with listening(answering(reply)) as port:
        error = await connect_error(RedisAddress(url=f"redis://localhost:{port}"))

    assert f"Redis at localhost:{port}: {sentence}" in error
    assert "planted" not in error


async def test_the_cause_is_reported_at_once_and_every_five_seconds() -> None:
    clock, reports, port = HastyClock(), [], free_port()
    start = clock.monotonic()
    with pytest.raises(RedisUnreachable):
        async with open_redis(
            RedisAddress(url=f"redis://localhost:{port}"),
            clock=clock,
            telemetry=RecordingTelemetry(),
            report=lambda text: reports.append((clock.monotonic() - start, text)),
        ):
            pass

    sentence = f"Redis at localhost:{port}: connection refused; trying again for up to 30 s."
    assert {text for _, text in reports} == {sentence}
    times = [time for time, _ in reports]
    assert times[0] < timedelta(seconds=1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) >= 4
    # A report waits for the attempt after the five seconds, and for the pauses before it.
    assert all(timedelta(seconds=5) <= gap < timedelta(seconds=10) for gap in gaps)
