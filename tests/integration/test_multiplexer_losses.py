"""The one connection when its server freezes, dies or is too slow."""

import asyncio
import signal
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from datetime import timedelta

import pytest
import uvloop
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from adapters.encrypted_redis.command_queue import (
    Bounds,
    ConnectionTrouble,
    NotSent,
    OutcomeUnknown,
)
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.system.clock import SystemClock
from tests.support.clocks import HastyClock
from tests.support.proxies import proxy_to
from tests.support.redis_connections import BRIEF, LONG, connected, echo, wait_until_connected
from tests.support.redis_servers import RedisProcess

MANY = 12
A_CHECK = timedelta(seconds=1)


async def test_a_frozen_server_leaves_the_outcome_unknown_and_its_late_reply_is_dropped(
    own_server: RedisProcess,
) -> None:
    async with connected(own_server.port, Bounds(timeout=BRIEF, grace=LONG)) as connection:
        await wait_until_connected(connection)
        own_server.signal(signal.SIGSTOP)
        with pytest.raises(OutcomeUnknown):
            await connection.call("ECHO", "frozen")
        own_server.signal(signal.SIGCONT)
        await wait_until_connected(connection)

        assert await connection.call("ECHO", "thawed") == b"thawed"


def test_commands_whose_time_is_almost_up_do_not_disturb_each_other() -> None:
    async def two_commands() -> list[object]:
        bounds = Bounds(timeout=timedelta())
        multiplexer = Multiplexer(AbstractConnection, bounds, SystemClock())
        calls = [multiplexer.call("PING") for _ in range(2)]
        return await asyncio.gather(*calls, return_exceptions=True)

    # The event loop of the service: its timers differ from those of asyncio's own.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        failures = runner.run(two_commands())

    assert [type(failure) for failure in failures] == [NotSent, NotSent]


async def test_a_frozen_server_is_unhealthy_until_it_answers_again(
    own_server: RedisProcess,
) -> None:
    async with connected(own_server.port, Bounds(timeout=BRIEF, grace=LONG)) as connection:
        await _until_healthy(connection)
        own_server.signal(signal.SIGSTOP)
        await _until_unhealthy(connection)
        own_server.signal(signal.SIGCONT)
        await _until_healthy(connection)


async def test_a_server_that_stays_frozen_loses_its_connection(own_server: RedisProcess) -> None:
    async with (
        proxy_to(own_server.port) as proxy,
        connected(proxy.port, Bounds(timeout=BRIEF, grace=BRIEF)) as connection,
    ):
        await wait_until_connected(connection)
        own_server.signal(signal.SIGSTOP)
        async with asyncio.timeout(20):
            while proxy.accepted == 1:
                await echo(connection, 1)
        own_server.signal(signal.SIGCONT)
        await wait_until_connected(connection)

        assert proxy.accepted > 1


async def test_calls_fail_while_the_server_is_dead(own_server: RedisProcess) -> None:
    async with connected(own_server.port) as connection:
        await wait_until_connected(connection)
        own_server.kill()
        with pytest.raises(ConnectionTrouble):
            await connection.call("PING")
        with pytest.raises(NotSent):
            await connection.call("PING")
        own_server.start()
        await wait_until_connected(connection)

        assert await connection.call("ECHO", "back") == b"back"


async def test_after_a_long_absence_new_commands_fail_at_once(
    own_server: RedisProcess,
) -> None:
    async with connected(own_server.port, Bounds(timeout=BRIEF, grace=LONG)) as connection:
        await wait_until_connected(connection)
        own_server.kill()
        async with asyncio.timeout(20):
            failure = await _immediate_failure(connection)
        own_server.start()
        await wait_until_connected(connection)

        assert isinstance(failure.__cause__, RedisError)
        assert await connection.call("ECHO", "back") == b"back"


class PauseClock(HastyClock):
    """Counts how many pauses were longer than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[timedelta] = []

    async def sleep(self, duration: timedelta) -> None:
        self.pauses.append(duration)
        await super().sleep(duration)


async def test_a_server_that_accepts_and_closes_is_tried_less_and_less_often() -> None:
    clock, enough = PauseClock(), asyncio.Event()
    accepted = 0

    async def accept_and_close(_: StreamReader, writer: StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.close()
        if accepted == MANY:
            enough.set()

    server = await asyncio.start_server(accept_and_close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connected(port, clock=clock), asyncio.timeout(20):
        await enough.wait()

    pauses = [pause for pause in clock.pauses if pause != A_CHECK]
    assert pauses[: MANY - 1] == [n * timedelta(milliseconds=50) for n in range(1, MANY)]


async def test_after_an_answer_a_lost_connection_is_soon_replaced(own_server: RedisProcess) -> None:
    clock = PauseClock()
    async with proxy_to(own_server.port) as proxy, connected(proxy.port, clock=clock) as connection:
        for _ in range(MANY):
            await _until_healthy(connection)
            proxy.cut()
            await _until_unhealthy(connection)

    assert max(pause for pause in clock.pauses if pause != A_CHECK) < timedelta(seconds=0.5)


async def test_commands_above_the_bound_fail_at_once(shared_server: RedisProcess) -> None:
    bounds = Bounds(timeout=LONG, grace=LONG, commands=10)
    async with connected(shared_server.port, bounds) as connection:
        replies = [connection.call("ECHO", n) for n in range(10)]
        with pytest.raises(NotSent):
            connection.call("ECHO", 10)

        assert await asyncio.gather(*replies) == [b"%d" % n for n in range(10)]
        assert await connection.call("ECHO", 11) == b"11"


async def test_a_closed_connection_accepts_no_commands(shared_server: RedisProcess) -> None:
    async with connected(shared_server.port) as connection:
        waiting = connection.call("PING")
    with pytest.raises(ConnectionTrouble):
        await waiting
    with pytest.raises(NotSent):
        connection.call("PING")


async def _immediate_failure(connection: Multiplexer) -> NotSent:
    """The error of the first command that is not queued."""
    while True:
        try:
            reply = connection.call("PING")
        except NotSent as failure:
            return failure
        await asyncio.wait([reply])
        assert isinstance(reply.exception(), ConnectionTrouble)


async def _until_healthy(connection: Multiplexer) -> None:
    await _until(lambda: bool(connection.healthy_for), connection)


async def _until_unhealthy(connection: Multiplexer) -> None:
    await _until(lambda: not connection.healthy_for, connection)


async def _until(holds: Callable[[], bool], connection: Multiplexer) -> None:
    """Return once the connection has noticed."""
    async with asyncio.timeout(15):
        while not holds():
            await echo(connection, 1)
            await asyncio.sleep(0)
