"""One connection that any number of callers share at full duplex.

Commands that are asked for in one tick of the loop leave in one write; replies come in their order
and are matched to them. The rules:

- A command has two seconds. Its late reply is dropped in its turn.
- When the oldest reply is two seconds late, the connection is closed.
- When a connection ends, what was sent fails as ``OutcomeUnknown``, what was not as ``NotSent``.
- A cancelled caller abandons its reply, never the command.
- At most 1,024 commands or 8 MB wait; more fail at once.
- A lost connection is made anew, ``min(n * 50 ms, 2 s)`` after the n-th failure.

Only public methods of redis-py's ``Connection`` are used, with its own retries, time-outs and
notifications off: its pool lends a connection to one caller at a time, and its single connection
takes turns.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from adapters.encrypted_redis.waiting import Argument, Bounds, NotSent, Reply, Waiting

_STEP: Final = timedelta(milliseconds=50)
_LONGEST: Final = timedelta(seconds=2)


def pause_after(failures: int) -> timedelta:
    """How long to wait before the next attempt."""
    return min(failures * _STEP, _LONGEST)


class Multiplexer:
    """The connection. ``run`` keeps it; made inside a running loop."""

    def __init__(self, connecting: Callable[[], AbstractConnection], bounds: Bounds) -> None:
        """``connecting`` makes a connection that is not yet connected."""
        self._connecting = connecting
        self._patience = bounds.patience.total_seconds()
        self._waiting = Waiting(bounds)
        self._loop = asyncio.get_running_loop()
        self._has_commands = asyncio.Event()
        self._is_dead = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def call(self, *arguments: Argument) -> Reply:
        """The reply to a command, to be awaited.

        Raises:
            NotSent: at once, when too much waits already or the connection was closed for good.

        The reply raises:
            NotSent, OutcomeUnknown: none came.
            RedisError: the server refused the command.
        """
        if self._is_closed:
            raise NotSent("closed")
        now = self._loop.time()
        reply = self._waiting.add(arguments, now, self._loop.create_future())
        self._has_commands.set()
        if self._timer is None:
            self._timer = self._loop.call_at(now + self._patience, self._look)
        return reply

    async def run(self) -> None:
        """Keep a connection open and serve callers over it until cancelled."""
        failures = 0
        while True:
            connection = self._connecting()
            try:
                async with asyncio.timeout(self._patience):
                    await connection.connect()  # type: ignore[no-untyped-call]
                failures = 0
                await self._serve(connection)
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
                failures += 1
                self._waiting.fail_all(error)
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    # TLS takes leave of the other side, which only the last connection waits for.
                    await connection.disconnect(nowait=not self._is_closed)
            await asyncio.sleep(pause_after(failures).total_seconds())

    def close(self) -> None:
        """Take no more commands; what waits fails."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.fail_all(None)

    async def _serve(self, connection: AbstractConnection) -> None:
        """Returns never; raises what ended the connection."""
        self._is_dead.clear()
        tasks = [
            asyncio.create_task(self._write(connection)),
            asyncio.create_task(self._read(connection)),
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
        raise TimeoutError("the oldest reply is too late")

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._has_commands.wait()
            self._has_commands.clear()
            packed = connection.pack_commands(self._waiting.send())
            await connection.send_packed_command(packed, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        read, answer = connection.read_response, self._waiting.answer
        while True:
            refusal: RedisError | None = None
            reply: Any = None
            try:
                reply = await read(
                    disable_decoding=True, timeout=math.inf, disconnect_on_error=False
                )
            except (ResponseError, BusyLoadingError, AuthenticationError) as refused:
                refusal = refused
            answer(reply, refusal)

    def _look(self) -> None:
        now = self._loop.time()
        if self._waiting.give_up(now):
            self._is_dead.set()
        following = self._waiting.next_look(now)
        self._timer = None if following is None else self._loop.call_at(following, self._look)
