"""Sends commands and scripts to Redis: retries the safe ones, and translates the errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError

from adapters.encrypted_redis.command_queue import Argument, Bounds, ConnectionTrouble
from adapters.encrypted_redis.keys_and_scripts import Script
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.encrypted_redis.outages import Outages
from adapters.encrypted_redis.redis_errors import READONLY, is_transient, pause_after, reason_of
from adapters.sealing.sealer import MasterKeyMissing
from domain.model.identifiers import SessionId
from ports.clock import Clock
from ports.errors import StoredStateUnreadable, StoreUnavailable
from ports.telemetry import Telemetry

_ATTEMPTS: Final = 3
_ALL_ATTEMPTS: Final[timedelta] = sum(
    (Bounds().timeout + pause_after(attempt) for attempt in range(1, _ATTEMPTS + 1)), timedelta()
)
LONGEST_REPEAT: Final = 2 * _ALL_ATTEMPTS
"""The longest time from the first attempt at a script to the last. The first attempts send its
digest; if the server does not know that, further ones send its text."""


class RedisClient:
    """Sends commands over the one connection. Repeats only what may be carried out twice."""

    def __init__(
        self, *, connection: Multiplexer, clock: Clock, telemetry: Telemetry, outages: Outages
    ) -> None:
        """``clock`` times the pauses between attempts; ``outages`` learns of failed operations."""
        self._connection = connection
        self._clock = clock
        self._telemetry = telemetry
        self._outages = outages

    @property
    def healthy_for(self) -> timedelta:
        """How long Redis has answered every check in time; zero while it does not."""
        return self._connection.healthy_for

    @property
    def is_crowded(self) -> bool:
        """Whether half of the connection's bound is used up; non-urgent commands should wait."""
        return self._connection.is_crowded

    async def call_idempotent(self, operation: str, *arguments: Argument) -> Any:
        """The reply to a command that may be carried out twice, such as a read or a delete.

        Raises:
            StoreUnavailable: Redis replied to the last attempt with an error, or did not reply.
            StoredStateUnreadable: the key holds a value of another type.
        """
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._connection.call(*arguments)
            except (ConnectionTrouble, RedisError) as error:
                if not is_transient(error):
                    raise self._translated(operation, error) from error
                self._reconnect_if_readonly(error)
            await self._clock.sleep(pause_after(attempt))
        return await self.call_once(operation, *arguments)

    async def call_once(self, operation: str, *arguments: Argument) -> Any:
        """The reply to a command that is sent once.

        Raises:
            StoreUnavailable: Redis replied with an error, or did not reply.
            StoredStateUnreadable: the key holds a value of another type.
        """
        try:
            return await self._connection.call(*arguments)
        except (ConnectionTrouble, RedisError) as error:
            self._reconnect_if_readonly(error)
            raise self._translated(operation, error) from error

    async def reply_or_error(self, *arguments: Argument) -> Any:
        """The reply to a command that is sent once, or the error that Redis replied with.

        Raises:
            StoreUnavailable: there was no reply.
        """
        try:
            return await self._connection.call(*arguments)
        except RedisError as error:
            return error
        except ConnectionTrouble as error:
            raise self._translated("check", error) from error

    async def query_if_allowed(self, *arguments: Argument) -> Any:
        """The reply to a command that our Redis user may lack permission for; None if it fails.

        Raises:
            StoreUnavailable: there was no reply.
        """
        reply = await self.reply_or_error(*arguments)
        return None if isinstance(reply, RedisError) else reply

    async def run_script(
        self,
        operation: str,
        script: Script,
        keys: tuple[str, ...],
        *arguments: Argument,
        repeat: bool,
    ) -> Any:
        """What the script returned; its text is sent if the server does not know its digest.

        ``repeat`` allows running the script twice.

        Raises:
            StoreUnavailable: Redis replied with an error, or did not reply.
            StoredStateUnreadable: a key holds a value of another type.
        """
        send = self.call_idempotent if repeat else self.call_once
        try:
            return await send(operation, "EVALSHA", script.digest, len(keys), *keys, *arguments)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        return await send(operation, "EVAL", script.text, len(keys), *keys, *arguments)

    @contextmanager
    def reporting_unreadable(self, session_id: SessionId) -> Iterator[None]:
        """Log an error ``StoredStateUnreadable`` that is raised while this is open."""
        try:
            yield
        except StoredStateUnreadable as error:
            self._telemetry.emit(
                "conversation.unreadable", session_id=session_id, reason=_why_unreadable(error)
            )
            raise

    def _reconnect_if_readonly(self, error: Exception) -> None:
        if reason_of(error) == READONLY:
            self._connection.reconnect(error)

    def _translated(
        self, operation: str, error: Exception
    ) -> StoreUnavailable | StoredStateUnreadable:
        reason = reason_of(error)
        if reason == "WRONGTYPE":
            return StoredStateUnreadable()
        if reason != "NOSCRIPT":
            self._outages.operation_failed(operation, error)
        return StoreUnavailable(operation)


def _why_unreadable(error: StoredStateUnreadable) -> str:
    if isinstance(error.__cause__, MasterKeyMissing):
        return "key-missing"
    return "wrong-type" if isinstance(error.__cause__, RedisError) else "damaged"
