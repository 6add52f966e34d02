"""Whatever bytes a server sends, every call ends, with a reply or an error."""

import asyncio
from asyncio import StreamReader, StreamWriter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError

from adapters.encrypted_redis.command_queue import Bounds, ConnectionTrouble
from adapters.encrypted_redis.redis_errors import is_transient, reason_of
from tests.support.proxies import ConnectionHandler, listening
from tests.support.redis_connections import connected

SOON = Bounds(timeout=timedelta(milliseconds=40), grace=timedelta(milliseconds=40))
resp = st.sampled_from(
    [
        *(b"+OK\r\n", b":1\r\n", b"$2\r\nhi\r\n", b"$-1\r\n", b"*1\r\n$1\r\na\r\n", b"*-1\r\n"),
        *(
            b"-ERR no\r\n",
            b"*2\r\n",
            b"$9\r\nshort\r\n",
            b"\r\n",
            b"%1\r\n",
            b"$x\r\n",
            b"*1\r\n-E\r\n",
        ),
    ]
)


def server_sending(noise: bytes) -> ConnectionHandler:
    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.read(1)
        writer.write(noise)
        writer.close()

    return answer


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=60) | st.lists(resp, max_size=6).map(b"".join))
def test_any_reply_stream_ends_every_call(noise: bytes) -> None:
    async def calls() -> None:
        async with listening(server_sending(noise)) as port, connected(port, SOON) as connection:
            replies = [connection.call("GET", n) for n in range(3)]
            async with asyncio.timeout(20):
                results = await asyncio.gather(*replies, return_exceptions=True)
            errors = [one for one in results if isinstance(one, BaseException)]
            assert all(isinstance(one, ConnectionTrouble | RedisError) for one in errors)

    asyncio.run(calls())


ERRORS = [
    (b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING", True),
    (b"-READONLY You can't write against a read only replica.\r\n", "READONLY", True),
    (b"-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN", True),
    (b"-CLUSTERDOWN The cluster is down\r\n", "CLUSTERDOWN", True),
    (b"-TRYAGAIN Multiple keys request during rehashing\r\n", "TRYAGAIN", True),
    (b"-BUSY Redis is busy running a script\r\n", "BUSY", True),
    (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM", False),
    (b"-MISCONF Redis is configured to save RDB snapshots\r\n", "MISCONF", False),
    (b"-NOPERM this user has no permissions\r\n", "NOPERM", False),
    (b"-NOAUTH Authentication required.\r\n", "NOAUTH", False),
    (b"-WRONGPASS invalid username-password pair\r\n", "WRONGPASS", False),
    (b"-WRONGTYPE Operation against a key\r\n", "WRONGTYPE", False),
    (b"-NOSCRIPT No matching script.\r\n", "NOSCRIPT", False),
    (b"-ERR The user executing the script can't run this command\r\n", "NOPERM", False),
    (b"-ERR ACL failure in script: No permissions to access a key\r\n", "NOPERM", False),
    (b"-ERR a secret in the text\r\n", "refused", False),
]


@pytest.mark.parametrize(("line", "reason", "passing"), ERRORS)
async def test_every_error_reply_has_its_reason(line: bytes, reason: str, *, passing: bool) -> None:
    async with listening(server_sending(line)) as port, connected(port) as connection:
        with pytest.raises(RedisError) as caught:
            await connection.call("GET", "x")

    assert reason_of(caught.value) == reason
    assert is_transient(caught.value) is passing
