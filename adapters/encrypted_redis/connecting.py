"""Connects to Redis: where it is, how its certificate is checked, and how startup waits for it.

``rediss://`` checks the server's certificate and host name, and no option of the URL can switch
that off. Neither an error's text nor a ``repr`` shows the URL's password.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import field, frozen
from redis.asyncio import Connection, SSLConnection
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.exceptions import RedisError

from adapters.encrypted_redis.command_queue import Bounds, ConnectionTrouble
from adapters.encrypted_redis.connection_causes import Cause, cause_of, more_precise
from adapters.encrypted_redis.multiplexer import Check, Multiplexer, ping
from adapters.encrypted_redis.outages import Outages
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.redis_errors import pause_after
from ports.clock import Clock
from ports.telemetry import Telemetry

START_TIMEOUT: Final = timedelta(seconds=30)
_REPORT_EVERY: Final = timedelta(seconds=5)
_FROM_URL: Final = ("host", "port", "path", "db", "username", "password")


Report: TypeAlias = Callable[[str], None]
"""Takes a sentence for the operator."""


class RedisUnreachable(Exception):
    """Redis cannot be used at startup; the message names the address, never a password.

    Attributes:
        text: the address and what is wrong.
        advice: what to do about it; empty if there is no better advice than to wait.
    """

    def __init__(self, address: "RedisAddress", cause: Cause) -> None:
        self.text = f"Redis at {address}: {cause.text}."
        self.advice = cause.advice
        super().__init__(f"{self.text} {cause.advice}".strip())


@frozen(kw_only=True)
class RedisAddress:
    """Where Redis is and how its certificate is checked.

    Attributes:
        url: ``redis://``, ``rediss://`` or ``unix://``, with user, password and database number.
        ca_file: CA certificates for verifying the server (PEM); None uses those of the system.
        client_cert: the certificate that we present to the server (PEM); None presents none.
        client_key: the private key of ``client_cert`` (PEM).
    """

    url: str = field(repr=False)
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    def __str__(self) -> str:
        """Host and port, or the socket's path."""
        parsed = parse_url(self.url)
        if "path" in parsed:
            return parsed["path"]
        host = parsed.get("host", "localhost")
        return f"{f'[{host}]' if ':' in host else host}:{parsed.get('port', 6379)}"

    @property
    def user(self) -> str:
        """The Redis user that the URL names."""
        return str(parse_url(self.url).get("username") or "default")

    async def refined_cause(self, error: BaseException) -> Cause:
        """Why Redis cannot be used; the server is asked if ``error`` does not say it."""
        cause, parsed = cause_of(error), parse_url(self.url)
        if "path" in parsed:
            return cause
        uses_tls = parsed.get("connection_class") is SSLConnection
        host, port = parsed.get("host", "localhost"), parsed.get("port", 6379)
        return await more_precise(cause, host, port, uses_tls=uses_tls)

    def new_connection(self) -> AbstractConnection:
        """A new connection to this address; the caller has to connect it."""
        parsed: dict[str, Any] = {**parse_url(self.url)}
        kind = parsed.get("connection_class", Connection)
        # Other options of the URL could switch off certificate checks.
        options: dict[str, Any] = {name: parsed[name] for name in _FROM_URL if name in parsed}
        options |= {
            "protocol": 2,
            "socket_timeout": None,
            "socket_connect_timeout": Bounds().timeout.total_seconds(),
            "driver_info": None,
        }
        connection: AbstractConnection = kind(**options, **self._tls(kind))
        return connection

    def _tls(self, kind: type[AbstractConnection]) -> dict[str, Any]:
        if kind is not SSLConnection:
            return {}
        return {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            "ssl_ca_certs": str(self.ca_file) if self.ca_file else None,
            "ssl_certfile": str(self.client_cert) if self.client_cert else None,
            "ssl_keyfile": str(self.client_key) if self.client_key else None,
        }


def certificate_problems(address: RedisAddress) -> Iterator[str]:
    """A sentence for each file of certificates that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if address.ca_file is not None:
        try:
            context.load_verify_locations(cafile=address.ca_file)
        except (ssl.SSLError, OSError):
            yield "REDIS_CA_FILE: the file contains no certificate in PEM format."
    if address.client_cert is not None and address.client_key is not None:
        yield from _client_problems(context, address.client_cert, address.client_key)


def _client_problems(context: ssl.SSLContext, cert: Path, key: Path) -> Iterator[str]:
    if b"-----BEGIN CERTIFICATE-----" not in cert.read_bytes():
        yield "REDIS_CLIENT_CERT: the file contains no certificate in PEM format."
    elif b"PRIVATE KEY-----" not in (content := key.read_bytes()):
        yield "REDIS_CLIENT_KEY: the file contains no private key in PEM format."
    elif b"ENCRYPTED" in content:
        # OpenSSL would ask for the passphrase on the terminal.
        yield "REDIS_CLIENT_KEY: the private key needs a passphrase. Store it without one."
    else:
        try:
            context.load_cert_chain(cert, key)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                yield "REDIS_CLIENT_KEY does not belong to the certificate in REDIS_CLIENT_CERT."
            else:
                yield "REDIS_CLIENT_CERT or REDIS_CLIENT_KEY: the file is damaged."


@asynccontextmanager
async def open_redis(
    address: RedisAddress,
    *,
    clock: Clock,
    telemetry: Telemetry,
    within: timedelta = START_TIMEOUT,
    bounds: Bounds | None = None,
    check: Check = ping,
    report: Report = lambda _: None,
) -> AsyncIterator[RedisClient]:
    """Wait until Redis answers; yields a client over one connection.

    ``check`` is called once per second. While Redis does not answer, ``report`` gets a sentence
    with the cause, at once and then every five seconds.

    Raises:
        RedisUnreachable: Redis did not answer within ``within``, or denied access.
    """
    outages = Outages(telemetry, clock)
    connection = Multiplexer(address.new_connection, bounds or Bounds(), clock, check, outages)
    running = asyncio.create_task(connection.run())
    try:
        await _wait_for_answer(connection, address, clock, within, report)
        await _require_permission(connection, check, address)
        yield RedisClient(connection=connection, clock=clock, telemetry=telemetry, outages=outages)
    finally:
        connection.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _require_permission(connection: Multiplexer, check: Check, address: RedisAddress) -> None:
    """Refuse to start if Redis does not permit ``check``; other errors may be temporary."""
    try:
        await check(connection.call)
    except (ConnectionTrouble, RedisError) as error:
        cause = cause_of(error)
        if cause.is_permanent:
            raise RedisUnreachable(address, cause) from error


async def _wait_for_answer(
    connection: Multiplexer,
    address: RedisAddress,
    clock: Clock,
    within: timedelta,
    report: Report,
) -> None:
    next_report = clock.monotonic()
    deadline, failures = next_report + within, 0
    while True:
        try:
            await connection.call("PING")
        except (ConnectionTrouble, RedisError) as error:
            failures += 1
            now, pause = clock.monotonic(), pause_after(failures)
            if now + pause >= deadline or cause_of(error).is_permanent:
                raise RedisUnreachable(address, await address.refined_cause(error)) from error
            if now >= next_report:
                next_report = now + _REPORT_EVERY
                text = (await address.refined_cause(error)).text
                limit = f"{within.total_seconds():g} s"
                report(f"Redis at {address}: {text}; trying again for up to {limit}.")
            await clock.sleep(pause)
        else:
            return
