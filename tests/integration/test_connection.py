"""The one connection, over a real server and networks that misbehave."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from redis.asyncio import Connection
from redis.exceptions import RedisError, ResponseError

from adapters.encrypted_redis.connection import Multiplexer
from adapters.encrypted_redis.waiting import (
    Bounds,
    ConnectionTrouble,
    NotSent,
    OutcomeUnknown,
)
from tests.integration.proxies import proxy_to
from tests.integration.redis_servers import RedisProcess

BRIEF = timedelta(milliseconds=60)
LONG = timedelta(seconds=20)


@asynccontextmanager
async def connected(port: int, bounds: Bounds | None = None) -> AsyncIterator[Multiplexer]:
    def connecting() -> Connection:
        return Connection(
            host="127.0.0.1", port=port, protocol=2, socket_timeout=None, driver_info=None
        )

    connection = Multiplexer(connecting, bounds or Bounds(patience=LONG, lateness=LONG))
    running = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        connection.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def echoed(connection: Multiplexer, number: int) -> bytes | ConnectionTrouble:
    try:
        reply: bytes = await connection.call("ECHO", number)
    except ConnectionTrouble as trouble:
        return trouble
    return reply


async def until_it_answers(connection: Multiplexer) -> None:
    async with asyncio.timeout(20):
        while True:
            with suppress(ConnectionTrouble, RedisError):
                await connection.call("PING")
                return


async def test_everybody_gets_their_own_reply(shared_server: RedisProcess) -> None:
    async with connected(shared_server.port) as connection:
        replies = await asyncio.gather(*(echoed(connection, n) for n in range(1_000)))

    assert replies == [b"%d" % n for n in range(1_000)]


async def test_all_callers_share_one_connection(shared_server: RedisProcess) -> None:
    async with proxy_to(shared_server.port) as proxy, connected(proxy.port) as connection:
        await asyncio.gather(*(echoed(connection, n) for n in range(200)))

        assert proxy.accepted == 1


@pytest.mark.parametrize("seed", range(5))
async def test_callers_who_leave_take_no_one_elses_reply_along(
    shared_server: RedisProcess, seed: int
) -> None:
    chance = random.Random(seed)
    async with connected(shared_server.port) as connection:
        tasks = [asyncio.create_task(echoed(connection, n)) for n in range(300)]
        await asyncio.sleep(0)
        left = {n for n in range(300) if chance.random() < 0.3 and tasks[n].cancel()}
        await asyncio.wait(tasks)
        await connection.call("PING")

    assert left
    assert all(tasks[n].result() == b"%d" % n for n in set(range(300)) - left)


async def test_a_caller_who_leaves_abandons_the_reply_and_not_the_command(
    shared_server: RedisProcess,
) -> None:
    async with connected(shared_server.port) as connection:
        await connection.call("DEL", "left")
        reply = connection.call("SET", "left", "behind")
        reply.cancel()

        assert await connection.call("GET", "left") == b"behind"
        await connection.call("DEL", "left")


@pytest.mark.parametrize("seed", range(5))
async def test_a_cut_gives_trouble_or_the_right_reply_and_then_all_is_well(
    shared_server: RedisProcess, seed: int
) -> None:
    chance = random.Random(seed)
    async with proxy_to(shared_server.port) as proxy, connected(proxy.port) as connection:
        results: list[bytes | ConnectionTrouble] = []
        for _ in range(10):
            tasks = [asyncio.create_task(echoed(connection, n)) for n in range(50)]
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            proxy.cut()
            results += await asyncio.gather(*tasks)
            await until_it_answers(connection)
        replies = await asyncio.gather(*(echoed(connection, n) for n in range(50)))

    assert replies == [b"%d" % n for n in range(50)]
    assert all(
        isinstance(result, ConnectionTrouble) or result == b"%d" % (place % 50)
        for place, result in enumerate(results)
    )


async def test_a_refusal_reaches_only_who_asked(shared_server: RedisProcess) -> None:
    async with connected(shared_server.port) as connection:
        first, refused, last = (
            connection.call("ECHO", "a"),
            connection.call("NO-SUCH-COMMAND"),
            connection.call("ECHO", "b"),
        )

        assert (await first, await last) == (b"a", b"b")
        with pytest.raises(ResponseError):
            await refused


async def test_a_frozen_server_leaves_the_outcome_unknown_and_late_replies_reach_nobody(
    own_server: RedisProcess,
) -> None:
    async with connected(own_server.port, Bounds(patience=BRIEF, lateness=LONG)) as connection:
        await until_it_answers(connection)
        own_server.signal(signal.SIGSTOP)
        with pytest.raises(OutcomeUnknown):
            await connection.call("ECHO", "frozen")
        own_server.signal(signal.SIGCONT)
        await until_it_answers(connection)

        assert await connection.call("ECHO", "thawed") == b"thawed"


async def test_a_server_that_stays_frozen_loses_its_connection(own_server: RedisProcess) -> None:
    async with (
        proxy_to(own_server.port) as proxy,
        connected(proxy.port, Bounds(patience=BRIEF, lateness=BRIEF)) as connection,
    ):
        await until_it_answers(connection)
        own_server.signal(signal.SIGSTOP)
        async with asyncio.timeout(20):
            while proxy.accepted == 1:
                await echoed(connection, 1)
        own_server.signal(signal.SIGCONT)
        await until_it_answers(connection)

        assert proxy.accepted > 1


async def test_a_killed_server_is_trouble_until_it_is_back(own_server: RedisProcess) -> None:
    async with connected(own_server.port) as connection:
        await until_it_answers(connection)
        own_server.kill()
        with pytest.raises(ConnectionTrouble):
            await connection.call("PING")
        with pytest.raises(NotSent):
            await connection.call("PING")
        own_server.start()
        await until_it_answers(connection)

        assert await connection.call("ECHO", "back") == b"back"


async def test_more_than_the_bound_fails_at_once(shared_server: RedisProcess) -> None:
    bounds = Bounds(patience=LONG, lateness=LONG, commands=10)
    async with connected(shared_server.port, bounds) as connection:
        replies = [connection.call("ECHO", n) for n in range(10)]
        with pytest.raises(NotSent):
            connection.call("ECHO", 10)

        assert await asyncio.gather(*replies) == [b"%d" % n for n in range(10)]
        assert await connection.call("ECHO", 11) == b"11"


async def test_a_closed_connection_takes_nothing_more(shared_server: RedisProcess) -> None:
    async with connected(shared_server.port) as connection:
        waiting = connection.call("PING")
    with pytest.raises(ConnectionTrouble):
        await waiting
    with pytest.raises(NotSent):
        connection.call("PING")
