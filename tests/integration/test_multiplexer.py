"""The one connection, over a real server and unreliable networks."""

import asyncio
import random

import pytest
from redis.exceptions import ResponseError

from adapters.encrypted_redis.command_queue import ConnectionTrouble
from tests.support.proxies import proxy_to
from tests.support.redis_connections import connected, echo, wait_until_connected
from tests.support.redis_servers import RedisProcess


async def test_every_caller_gets_its_own_reply(shared_server: RedisProcess) -> None:
    async with connected(shared_server.port) as connection:
        replies = await asyncio.gather(*(echo(connection, n) for n in range(1_000)))

    assert replies == [b"%d" % n for n in range(1_000)]


async def test_all_callers_share_one_connection(shared_server: RedisProcess) -> None:
    async with proxy_to(shared_server.port) as proxy, connected(proxy.port) as connection:
        await asyncio.gather(*(echo(connection, n) for n in range(200)))

        assert proxy.accepted == 1


@pytest.mark.parametrize("seed", range(5))
async def test_cancelled_callers_do_not_take_the_replies_of_others(
    shared_server: RedisProcess, seed: int
) -> None:
    chance = random.Random(seed)
    async with connected(shared_server.port) as connection:
        tasks = [asyncio.create_task(echo(connection, n)) for n in range(300)]
        await asyncio.sleep(0)
        cancelled = {n for n in range(300) if chance.random() < 0.3 and tasks[n].cancel()}
        await asyncio.wait(tasks)
        await connection.call("PING")

    assert cancelled
    assert all(tasks[n].result() == b"%d" % n for n in set(range(300)) - cancelled)


async def test_a_cancelled_caller_abandons_the_reply_and_not_the_command(
    shared_server: RedisProcess,
) -> None:
    async with connected(shared_server.port) as connection:
        await connection.call("DEL", "key")
        reply = connection.call("SET", "key", "value")
        reply.cancel()

        assert await connection.call("GET", "key") == b"value"
        await connection.call("DEL", "key")


@pytest.mark.parametrize("seed", range(5))
async def test_after_a_cut_a_call_fails_or_gets_the_right_reply_and_later_calls_succeed(
    shared_server: RedisProcess, seed: int
) -> None:
    chance = random.Random(seed)
    async with proxy_to(shared_server.port) as proxy, connected(proxy.port) as connection:
        results: list[bytes | ConnectionTrouble] = []
        for _ in range(10):
            tasks = [asyncio.create_task(echo(connection, n)) for n in range(50)]
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            proxy.cut()
            results += await asyncio.gather(*tasks)
            await wait_until_connected(connection)
        replies = await asyncio.gather(*(echo(connection, n) for n in range(50)))

    assert replies == [b"%d" % n for n in range(50)]
    assert all(
        isinstance(result, ConnectionTrouble) or result == b"%d" % (index % 50)
        for index, result in enumerate(results)
    )


async def test_an_error_reply_reaches_only_its_caller(shared_server: RedisProcess) -> None:
    async with connected(shared_server.port) as connection:
        first, refused, last = (
            connection.call("ECHO", "a"),
            connection.call("NO-SUCH-COMMAND"),
            connection.call("ECHO", "b"),
        )

        assert (await first, await last) == (b"a", b"b")
        with pytest.raises(ResponseError):
            await refused
