"""One full-duplex connection that any number of callers share.

Commands that are issued in one tick of the event loop are sent in one write. Redis replies in
order, so each reply belongs to the oldest command without one. The rules:

- A command fails if it gets no reply within two seconds; a later reply is dropped.
- If the oldest reply is two seconds late, the connection is closed.
- When a connection ends, commands that were sent fail with ``OutcomeUnknown``, the others with
  ``NotSent``.
- A caller that is cancelled abandons its reply; the command is still carried out.
- At most 1,024 commands or 32 MB wait for replies. Further ones fail at once.
- Once per second, a PING or the renewal of a lease checks that the server answers; ``healthy_for``
  says for how long it has answered.
- A lost connection is replaced ``min(n * 50 ms, 2 s)`` after the n-th failure in a row. An answered
  check resets n. Commands wait for the new connection; after two seconds without one, new commands
  fail at once.

redis-py's own clients do not fit: its pool lends a connection to one caller at a time, and its
single-connection client serves one caller after the other. So this class uses only public methods
of redis-py's ``Connection``, without its retries, timeouts and notifications. hiredis packs the
commands, because packing them with redis-py took half of the CPU time.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeAlias

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from adapters.encrypted_redis.command_queue import (
    Argument,
    Bounds,
    CommandQueue,
    ConnectionTrouble,
    NotSent,
    Reply,
)
from adapters.encrypted_redis.outages import Outages
from adapters.encrypted_redis.redis_errors import pause_after
from ports.clock import Clock

_CHECK_EVERY: Final = timedelta(seconds=1)

Check: TypeAlias = Callable[[Callable[..., Reply]], Awaitable[object]]
"""Sends commands with its argument; raises an error if the server does not serve us."""


async def ping(call: Callable[..., Reply]) -> None:
    """Check only that the server answers."""
    await call("PING")


class Multiplexer:
    """The shared connection. ``run`` keeps it open. Create it inside a running event loop."""

    def __init__(
        self,
        new_connection: Callable[[], AbstractConnection],
        bounds: Bounds,
        clock: Clock,
        check: Check = ping,
        outages: Outages | None = None,
    ) -> None:
        """Nothing is sent before ``run``.

        Args:
            new_connection: returns an unconnected connection.
            bounds: how long commands may wait, and how many may.
            clock: times the pauses.
            check: is called once per second, and at once on a new connection.
            outages: learns of each failure and each answered check; None if nobody has to know.
        """
        self._new_connection = new_connection
        self._clock = clock
        self._check = check
        self._outages = outages
        self._timeout = bounds.timeout.total_seconds()
        self._queue = CommandQueue(bounds)
        self._loop = asyncio.get_running_loop()
        self._has_commands = asyncio.Event()
        self._is_dead = asyncio.Event()
        self._end_reason: Exception = ConnectionAbortedError()
        self._timer: asyncio.Handle | None = None
        # uvloop's call_at returns a handle without a time if the moment is almost now.
        self._timer_at = math.inf
        self._is_closed = False
        self._lost_at: float | None = None
        self._last_error: BaseException | None = None
        self._failures = 0
        self._healthy_since: timedelta | None = None

    @property
    def healthy_for(self) -> timedelta:
        """How long the server has answered every check in time; zero while it does not."""
        if self._healthy_since is None:
            return timedelta()
        return self._clock.monotonic() - self._healthy_since

    @property
    def is_crowded(self) -> bool:
        """Whether half of the bound on commands, or on their bytes, is used up."""
        return self._queue.is_crowded

    def call(self, *arguments: Argument) -> Reply:
        """Send a command; returns the future of its reply.

        Raises:
            NotSent: too many commands are waiting, there has been no connection for two seconds,
                or ``close`` was called.

        The future raises:
            NotSent, OutcomeUnknown: no reply came.
            RedisError: the server replied with an error.
        """
        if self._is_closed:
            raise NotSent("the connection was closed")
        now = self._loop.time()
        if self._lost_at is not None and now - self._lost_at >= self._timeout:
            raise NotSent("there is no connection") from self._last_error
        packed = pack_command(arguments)  # type: ignore[arg-type]  # typed for one argument
        reply = self._queue.add(packed, now, self._loop.create_future())
        self._has_commands.set()
        self._expire_by(now + self._timeout)
        return reply

    async def run(self) -> None:
        """Keep a connection open, and serve callers over it, until cancelled."""
        while True:
            connection = self._new_connection()
            try:
                async with asyncio.timeout(self._timeout):
                    await connection.connect()  # type: ignore[no-untyped-call]
                self._lost_at = None
                await self._serve(connection)
            except Exception as error:  # noqa: BLE001 - any error must fail the waiting calls
                self._failures += 1
                self._lose(error)
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    # A graceful TLS shutdown waits for the peer, so only do it on final close.
                    async with asyncio.timeout(self._timeout):
                        await connection.disconnect(nowait=not self._is_closed)
            await self._clock.sleep(pause_after(self._failures))

    def reconnect(self, reason: Exception) -> None:
        """Replace the connection: by now the host name may point to another server."""
        self._end_connection(reason)

    def close(self) -> None:
        """Reject new commands, and fail those that are waiting."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._queue.fail_all(None)

    def _end_connection(self, reason: Exception) -> None:
        self._end_reason = reason
        self._is_dead.set()

    def _lose(self, error: Exception) -> None:
        if self._outages is not None:
            self._outages.failed(error)
        if self._lost_at is None:
            self._lost_at = self._loop.time()
        self._last_error, self._healthy_since = error, None
        self._queue.fail_all(error)

    async def _serve(self, connection: AbstractConnection) -> None:
        """Serve callers over ``connection``. Never returns; raises what ended the connection."""
        self._is_dead.clear()
        tasks = [
            asyncio.create_task(self._write(connection)),
            asyncio.create_task(self._read(connection)),
            asyncio.create_task(self._check_regularly()),
            asyncio.create_task(self._is_dead.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        raise self._end_reason

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._has_commands.wait()
            self._has_commands.clear()
            packed = b"".join(self._queue.send())
            await connection.send_packed_command(packed, check_health=False)

    async def _check_regularly(self) -> None:
        while True:
            try:
                await self._check(self.call)
            except (ConnectionTrouble, RedisError) as error:
                self._healthy_since = None
                if self._outages is not None:
                    self._outages.failed(error)
            else:
                if self._outages is not None:
                    self._outages.answered()
                # Count from the first answer: a frozen server still accepts connections, and so
                # does a proxy in front of a dead one.
                self._failures = 0
                self._healthy_since = self._healthy_since or self._clock.monotonic()
            await self._clock.sleep(_CHECK_EVERY)

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            error: RedisError | None = None
            reply: Any = None
            try:
                reply = await connection.read_response(
                    disable_decoding=True, timeout=math.inf, disconnect_on_error=False
                )
            except (ResponseError, BusyLoadingError, AuthenticationError) as caught:
                error = caught
            self._queue.answer(reply, error)

    def _expire_by(self, moment: float) -> None:
        """Expire commands at ``moment`` at the latest."""
        if self._timer is not None:
            if self._timer_at <= moment:
                return
            # The timer is set for the end of a grace period, which is later than ``moment``.
            self._timer.cancel()
        self._start_timer(moment)

    def _start_timer(self, moment: float) -> None:
        self._timer, self._timer_at = self._loop.call_at(moment, self._expire), moment

    def _expire(self) -> None:
        now = self._loop.time()
        if self._queue.expire(now):
            self._end_connection(TimeoutError("replies were too late"))
        deadline = self._queue.next_deadline(now)
        self._timer = None
        if deadline is not None:
            self._start_timer(deadline)
