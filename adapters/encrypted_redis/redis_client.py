"""Commands over the one connection: which are repeated, and what their failures mean to callers."""

from datetime import timedelta
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError

from adapters.encrypted_redis.command_queue import Argument, ConnectionTrouble
from adapters.encrypted_redis.keys_and_scripts import Script
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.encrypted_redis.redis_errors import READONLY, may_pass, pause_after, reason_of
from ports.clock import Clock
from ports.errors import StoredStateUnreadable, StoreUnavailable
from ports.telemetry import Telemetry

_ATTEMPTS: Final = 3


class RedisClient:
    """Sends commands for the store and the log. Repeats only what may be repeated."""

    def __init__(self, *, connection: Multiplexer, clock: Clock, telemetry: Telemetry) -> None:
        """Pauses between repetitions are taken by ``clock``."""
        self._connection = connection
        self._clock = clock
        self._telemetry = telemetry

    @property
    def healthy_for(self) -> timedelta:
        """How long Redis has answered without trouble; none while it does not."""
        return self._connection.healthy_for

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits for Redis that less urgent things should not."""
        return self._connection.is_crowded

    async def call_idempotent(self, doing: str, *arguments: Argument) -> Any:
        """The reply to a command that may be carried out twice: a read, a delete, an exact commit.

        Raises:
            StoreUnavailable: no reply, or a refusal, also when repeated.
            StoredStateUnreadable: something of another type stands there.
        """
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._connection.call(*arguments)
            except ConnectionTrouble:
                await self._clock.sleep(pause_after(attempt))
            except RedisError as error:
                if not may_pass(error):
                    raise self._translated(doing, error) from error
                self._heed(error)
                await self._clock.sleep(pause_after(attempt))
        return await self.call_once(doing, *arguments)

    async def call_once(self, doing: str, *arguments: Argument) -> Any:
        """The reply to a command that is sent once.

        Raises:
            StoreUnavailable, StoredStateUnreadable: as for ``call_idempotent``.
        """
        try:
            return await self._connection.call(*arguments)
        except (ConnectionTrouble, RedisError) as error:
            self._heed(error)
            raise self._translated(doing, error) from error

    async def query_if_allowed(self, *arguments: Argument) -> Any:
        """The reply to a question that the server may not answer us; absent when it does not.

        Raises:
            StoreUnavailable: there was no reply at all.
        """
        try:
            return await self._connection.call(*arguments)
        except RedisError:
            return None
        except ConnectionTrouble as error:
            raise self._translated("ask", error) from error

    async def run_script(
        self, doing: str, script: Script, keys: tuple[str, ...], *arguments: Argument, repeat: bool
    ) -> Any:
        """What the script returned; a server that does not know it (any more) is given it.

        Raises:
            StoreUnavailable, StoredStateUnreadable: as for ``call_idempotent``.
        """
        send = self.call_idempotent if repeat else self.call_once
        try:
            return await send(doing, "EVALSHA", script.digest, len(keys), *keys, *arguments)
        except StoreUnavailable as failed:
            if not isinstance(failed.__cause__, NoScriptError):
                raise
        return await send(doing, "EVAL", script.text, len(keys), *keys, *arguments)

    def _heed(self, error: Exception) -> None:
        if reason_of(error) == READONLY:
            self._connection.renew()

    def _translated(self, doing: str, error: Exception) -> StoreUnavailable | StoredStateUnreadable:
        reason = reason_of(error)
        if reason == "WRONGTYPE":
            return StoredStateUnreadable()
        if reason != "NOSCRIPT":
            self._telemetry.emit("store.unavailable", doing=doing, reason=reason)
        return StoreUnavailable(doing)
