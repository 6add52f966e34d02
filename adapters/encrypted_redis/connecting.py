"""Opening the one connection: where Redis is, how it is spoken to, waiting for it at the start."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from attrs import field, frozen
from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from adapters.encrypted_redis.command_queue import (
    Bounds,
    ConnectionTrouble,
)
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.redis_errors import pause_after, reason_of
from ports.clock import Clock
from ports.telemetry import Telemetry

START_WITHIN: Final = timedelta(seconds=30)
_PORT: Final = 6379
_FOR_THE_OPERATOR: Final = ("WRONGPASS", "NOPERM", "NOAUTH")


class RedisUnreachable(Exception):
    """Redis did not answer at the start; the message names the place, never a password."""


@frozen(kw_only=True)
class RedisAddress:
    """Where Redis is and how its certificate is checked.

    Attributes:
        url: ``redis://``, ``rediss://`` or ``unix://``, with user, password and database number.
        ca_file: certificates that may have signed the server's; absent: the system's.
        client_cert, client_key: shown to the server, PEM files; absent: none.
    """

    url: str = field(repr=False)
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    def __str__(self) -> str:
        """Host and port, or the socket's path."""
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return parts.path
        host = parts.hostname or "localhost"
        return f"{f'[{host}]' if ':' in host else host}:{parts.port or _PORT}"

    def connection(self) -> AbstractConnection:
        """A connection to it that is not yet connected."""
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            database = parse_qs(parts.query).get("db", ["0"])[0]
            known = {**self._common(database), "path": unquote(parts.path)}
            return UnixDomainSocketConnection(**known)
        known = self._common(parts.path.strip("/") or "0")
        known |= {"host": parts.hostname or "localhost", "port": parts.port or _PORT}
        return (
            SSLConnection(**known, **self._tls())
            if parts.scheme == "rediss"
            else Connection(**known)
        )

    def _common(self, database: str) -> dict[str, Any]:
        parts = urlsplit(self.url)
        return {
            "db": int(database),
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "protocol": 2,
            "socket_timeout": None,
            "socket_connect_timeout": Bounds().timeout.total_seconds(),
            "driver_info": None,
        }

    def _tls(self) -> dict[str, Any]:
        return {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            "ssl_ca_certs": str(self.ca_file) if self.ca_file else None,
            "ssl_certfile": str(self.client_cert) if self.client_cert else None,
            "ssl_keyfile": str(self.client_key) if self.client_key else None,
        }


@asynccontextmanager
async def open_redis(
    place: RedisAddress,
    *,
    clock: Clock,
    telemetry: Telemetry,
    within: timedelta = START_WITHIN,
    bounds: Bounds | None = None,
) -> AsyncIterator[RedisClient]:
    """Commands over one connection, once Redis answers.

    Raises:
        RedisUnreachable: it did not within the time, or does not let us in.
    """
    connection = Multiplexer(place.connection, bounds or Bounds(), clock)
    running = asyncio.create_task(connection.run())
    try:
        await _answered(connection, place, clock, within)
        yield RedisClient(connection=connection, clock=clock, telemetry=telemetry)
    finally:
        connection.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _answered(
    connection: Multiplexer, place: RedisAddress, clock: Clock, within: timedelta
) -> None:
    deadline, failures = clock.monotonic() + within, 0
    while True:
        try:
            await connection.call("PING")
        except (ConnectionTrouble, RedisError) as error:
            cause = error.__cause__ if isinstance(error, ConnectionTrouble) else error
            reason = reason_of(cause or error)
            failures += 1
            pause = pause_after(failures)
            if reason in _FOR_THE_OPERATOR:
                raise RedisUnreachable(f"Redis at {place} refuses us ({reason}).") from error
            if clock.monotonic() + pause >= deadline:
                raise RedisUnreachable(f"Redis at {place} does not answer ({reason}).") from error
            await clock.sleep(pause)
        else:
            return
