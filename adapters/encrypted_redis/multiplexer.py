"""One connection that any number of callers share at full duplex.

Commands that are asked for in one tick of the loop leave in one write; replies come in their order
and are matched to them. The rules:

- A command has two seconds. Its late reply is dropped in its turn.
- When the oldest reply is two seconds late, the connection is closed.
- When a connection ends, what was sent fails as ``OutcomeUnknown``, what was not as ``NotSent``.
- A cancelled caller abandons its reply, never the command.
- At most 1,024 commands or 8 MB wait; more fail at once.
- A PING a second tells whether the server answers; ``healthy_for`` says for how long it has.
- A lost connection is made anew, ``min(n * 50 ms, 2 s)`` after the n-th failure. Commands wait for
  it; once it has been away for two seconds, new ones fail at once.

Only public methods of redis-py's ``Connection`` are used, with its own retries, time-outs and
notifications off: its pool lends a connection to one caller at a time, and its single connection
takes turns. Commands are packed by hiredis: redis-py's own packing took half of the time.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

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
from adapters.encrypted_redis.redis_errors import pause_after
from ports.clock import Clock

_PING_EVERY: Final = timedelta(seconds=1)
_NONE: Final = timedelta()


class Multiplexer:
    """The connection. ``run_script`` keeps it; made inside a running loop."""

    def __init__(
        self, connecting: Callable[[], AbstractConnection], bounds: Bounds, clock: Clock
    ) -> None:
        """``connecting`` makes a connection that is not yet connected; ``clock`` times pauses."""
        self._connecting = connecting
        self._clock = clock
        self._patience = bounds.timeout.total_seconds()
        self._waiting = CommandQueue(bounds)
        self._loop = asyncio.get_running_loop()
        self._has_commands = asyncio.Event()
        self._is_dead = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._away_since: float | None = None
        self._trouble: BaseException | None = None
        self._well_since: timedelta | None = None

    @property
    def healthy_for(self) -> timedelta:
        """For how long the server has answered every PING in time; none while it does not."""
        return _NONE if self._well_since is None else self._clock.monotonic() - self._well_since

    @property
    def is_crowded(self) -> bool:
        """Whether half of what may wait does."""
        return self._waiting.is_crowded

    def call(self, *arguments: Argument) -> Reply:
        """The reply to a command, to be awaited.

        Raises:
            NotSent: at once, when too much waits already, or the connection has been away for as
                long as a command may take, or was closed for good.

        The reply raises:
            NotSent, OutcomeUnknown: none came.
            RedisError: the server refused the command.
        """
        if self._is_closed:
            raise NotSent("closed")
        now = self._loop.time()
        if self._away_since is not None and now - self._away_since >= self._patience:
            raise NotSent("there is no connection") from self._trouble
        packed = pack_command(arguments)  # type: ignore[arg-type]  # typed as if it took one only
        reply = self._waiting.add(packed, now, self._loop.create_future())
        self._has_commands.set()
        self._look_by(now + self._patience)
        return reply

    async def run(self) -> None:
        """Keep a connection open and serve callers over it until cancelled."""
        failures = 0
        while True:
            connection = self._connecting()
            try:
                async with asyncio.timeout(self._patience):
                    await connection.connect()  # type: ignore[no-untyped-call]
                failures, self._away_since = 0, None
                await self._serve(connection)
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
                failures += 1
                self._lost(error)
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    # TLS takes leave of the other side, which only the last connection waits for.
                    async with asyncio.timeout(self._patience):
                        await connection.disconnect(nowait=not self._is_closed)
            await self._clock.sleep(pause_after(failures))

    def renew(self) -> None:
        """Make the connection anew: its name may lead elsewhere by now."""
        self._is_dead.set()

    def close(self) -> None:
        """Take no more commands; what waits fails."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.fail_all(None)

    def _lost(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = self._loop.time()
        self._trouble, self._well_since = error, None
        self._waiting.fail_all(error)

    async def _serve(self, connection: AbstractConnection) -> None:
        """Returns never; raises what ended the connection."""
        self._is_dead.clear()
        tasks = [
            asyncio.create_task(self._write(connection)),
            asyncio.create_task(self._read(connection)),
            asyncio.create_task(self._ping()),
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
        raise ConnectionAbortedError("too late, or no longer the right server")

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._has_commands.wait()
            self._has_commands.clear()
            packed = b"".join(self._waiting.send())
            await connection.send_packed_command(packed, check_health=False)

    async def _ping(self) -> None:
        while True:
            try:
                await self.call("PING")
            except (ConnectionTrouble, RedisError):
                self._well_since = None
            else:
                # Not from the connection on: a frozen server is connected to as well.
                self._well_since = self._well_since or self._clock.monotonic()
            await self._clock.sleep(_PING_EVERY)

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

    def _look_by(self, moment: float) -> None:
        """Look at the latest then; what is late already may have put the next look further off."""
        if self._timer is not None:
            if self._timer.when() <= moment:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._waiting.expire(now):
            self._is_dead.set()
        following = self._waiting.next_deadline(now)
        self._timer = None if following is None else self._loop.call_at(following, self._look)
