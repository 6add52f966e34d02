"""Why Redis cannot be used, in words for the operator.

The log has the code of a cause, and the command line its text and advice. None of them contains a
password or any other part of the URL.

An error does not say whether TLS is the cause: a plain server waits for the rest of a TLS greeting,
and a TLS server closes a plain connection. So the server is probed; a probe sends no password.
"""

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import frozen
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from adapters.encrypted_redis.command_queue import ConnectionTrouble
from adapters.encrypted_redis.redis_errors import reason_of


@frozen
class Cause:
    """Why Redis cannot be used.

    Attributes:
        code: for the log; in capitals if it is the code of an error that Redis replied with.
        text: what is wrong, as the end of a sentence.
        advice: what to do about it, as a sentence; empty if waiting is enough.
        is_permanent: whether trying again cannot help.
    """

    code: str
    text: str
    advice: str = ""
    is_permanent: bool = False


TIMED_OUT: Final = Cause(
    "timeout", "no answer in time", "Check the host and port in REDIS_URL, and the firewall."
)
CLOSED: Final = Cause(
    "closed",
    "the connection was closed",
    "Check the host and port in REDIS_URL, and the log of Redis.",
)
NO_TLS: Final = Cause(
    "no-tls",
    "the server does not use TLS",
    "Use redis:// instead of rediss:// in REDIS_URL, or the port on which Redis uses TLS.",
)
TLS_REQUIRED: Final = Cause(
    "tls-required",
    "the server expects TLS",
    "Use rediss:// instead of redis:// in REDIS_URL.",
)
CLIENT_CERTIFICATE_REQUIRED: Final = Cause(
    "client-certificate",
    "the server requires a client certificate, or does not accept ours",
    "Set REDIS_CLIENT_CERT and REDIS_CLIENT_KEY to a certificate that Redis accepts.",
)
_NAME_NOT_FOUND: Final = Cause(
    "host-not-found",
    "the host name is not found",
    "Check the host in REDIS_URL. In a container, it is the name of the container of Redis.",
)
_UNREACHABLE: Final = Cause(
    "unreachable", "the network does not reach the host", "Check the host in REDIS_URL."
)
NOT_REDIS: Final = Cause(
    "not-redis",
    "the server is not Redis",
    "Check the host and port in REDIS_URL: another program answers there.",
)
_TOO_MANY_CLIENTS: Final = Cause(
    "too-many-clients",
    "Redis accepts no more clients",
    "Raise maxclients of Redis, or close other clients.",
)
_TLS_FAILED: Final = Cause(
    "tls-failed", "TLS failed", "Check the TLS settings of Redis: it must allow TLS 1.2 or newer."
)
_OVERLOADED: Final = Cause("overloaded", "too many commands are waiting for Redis")
_UNKNOWN: Final = Cause("failed", "the connection failed")

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: Cause(
        "refused",
        "connection refused",
        "Start Redis, or correct the host and port in REDIS_URL.",
    ),
    errno.ECONNRESET: CLOSED,
    errno.EPIPE: CLOSED,
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETUNREACH: _UNREACHABLE,
    errno.EADDRNOTAVAIL: _UNREACHABLE,
    errno.ETIMEDOUT: TIMED_OUT,
    errno.ENOENT: Cause(
        "no-file",
        "the socket or a certificate file does not exist",
        "Start Redis, or correct the path in REDIS_URL, REDIS_CA_FILE, REDIS_CLIENT_CERT or "
        "REDIS_CLIENT_KEY.",
    ),
    errno.EACCES: Cause(
        "no-permission",
        "no permission to connect",
        "Allow the user of this process to write to the socket of Redis.",
    ),
    errno.EMFILE: Cause(
        "too-many-files", "this process has too many open files", "Raise the limit: ulimit -n."
    ),
}

_UNTRUSTED: Final = Cause(
    "certificate-not-trusted",
    "the certificate of the server is not trusted",
    "Set REDIS_CA_FILE to the certificate of the authority that issued it.",
)
_WRONG_NAME: Final = Cause(
    "certificate-for-another-host",
    "the certificate of the server is for another host name",
    "Use a host in REDIS_URL that the certificate names.",
)
_INVALID_CERTIFICATE: Final = Cause(
    "certificate-invalid",
    "the certificate of the server is not valid",
    "Check it with openssl verify.",
)
_BY_VERIFY_CODE: Final = {
    9: Cause(
        "certificate-not-yet-valid",
        "the certificate of the server is not valid yet",
        "Check the clock of this machine.",
    ),
    10: Cause(
        "certificate-expired",
        "the certificate of the server has expired",
        "Renew it, and reload it.",
    ),
    **dict.fromkeys((2, 18, 19, 20, 21), _UNTRUSTED),
    **dict.fromkeys((62, 63, 64), _WRONG_NAME),
}
"""By the codes of OpenSSL (``X509_V_ERR_…``)."""

_BY_REPLY: Final = {
    cause.code: cause
    for cause in (
        Cause("LOADING", "Redis is still loading its data"),
        Cause("MASTERDOWN", "the replica has lost its primary", "Check the replication of Redis."),
        Cause("CLUSTERDOWN", "the cluster is down", "Check the cluster of Redis."),
        Cause("TRYAGAIN", "the cluster is moving keys"),
        Cause("BUSY", "Redis is busy with a script", "End the script with SCRIPT KILL."),
        Cause(
            "READONLY",
            "the server is a replica, which accepts no writes",
            "Use the address of the primary in REDIS_URL.",
        ),
        Cause("OOM", "Redis is full", "Raise maxmemory, or set maxmemory-policy to allkeys-lru."),
        Cause(
            "MISCONF",
            "Redis cannot write to its disk, and accepts no writes",
            "Check the disk and the log of Redis.",
        ),
        Cause(
            "NOPERM",
            "the user lacks permissions",
            "Grant the user what docs/operations.md lists under Redis.",
            is_permanent=True,
        ),
        Cause(
            "NOAUTH",
            "a password is required",
            "Put the user and password into REDIS_URL: rediss://user:password@host:6379/0.",
            is_permanent=True,
        ),
        Cause(
            "WRONGPASS",
            "wrong user or password",
            "Correct them in REDIS_URL. If the password contains %, write %25 instead.",
            is_permanent=True,
        ),
    )
}
_BY_TEXT: Final = (
    (
        "without any password configured",
        Cause(
            "WRONGPASS",
            "the default user has no password, but REDIS_URL contains one",
            "Remove the password from REDIS_URL, or add the user that it belongs to.",
            is_permanent=True,
        ),
    ),
    (
        "DENIED Redis is running in protected mode",
        Cause(
            "DENIED",
            "Redis is in protected mode, and refuses other machines",
            "Set a password for Redis, or run it on this machine.",
            is_permanent=True,
        ),
    ),
    (
        "DB index is out of range",
        Cause(
            "no-such-database",
            "there is no database with that number",
            "Correct the number at the end of REDIS_URL; most servers have 0 to 15.",
            is_permanent=True,
        ),
    ),
    ("max number of clients", _TOO_MANY_CLIENTS),
)
"""Errors that only their text distinguishes, by a part of it that contains nothing of ours."""

_CLIENT_CERTIFICATE_ALERTS: Final = ("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "UNKNOWN_CA")
_PLAINTEXT: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_PROBE_TIMEOUT: Final = timedelta(seconds=2)
_REPLY_BYTES: Final = 1_024
_UNCLEAR: Final = (CLOSED, TIMED_OUT, NO_TLS, NOT_REDIS)
"""Causes that may have to do with TLS."""
_ERRNO_IN_TEXT: Final = re.compile(r"\[Errno (\d+)\]")


def cause_of(error: BaseException) -> Cause:
    """Why Redis cannot be used, from an error of a command or of the connection."""
    for link in _chain(error):
        cause = _cause_of_one(link)
        if cause is not None:
            return cause
    if not isinstance(error, ConnectionTrouble):
        return _UNKNOWN
    # A command that waited too long for a reply, or for a connection, has no cause.
    return _OVERLOADED if "too many commands" in str(error) else TIMED_OUT


async def more_precise(cause: Cause, host: str, port: int, *, uses_tls: bool) -> Cause:
    """``cause``, or what a probe of the server finds if TLS may be the cause."""
    if cause not in _UNCLEAR:
        return cause
    if not uses_tls:
        return TLS_REQUIRED if await _speaks_tls(host, port) else cause
    reply = await _plain_reply(host, port)
    if reply.startswith((b"+", b"-")):
        return NO_TLS
    if reply:
        return NOT_REDIS
    if cause is CLOSED and await _speaks_tls(host, port):
        return CLIENT_CERTIFICATE_REQUIRED
    return cause


async def _plain_reply(host: str, port: int) -> bytes:
    """The beginning of the reply to a PING without TLS; empty if there is none."""
    with suppress(OSError):
        async with asyncio.timeout(_PROBE_TIMEOUT.total_seconds()):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"PING\r\n")
                return await reader.read(_REPLY_BYTES)
            finally:
                writer.transport.abort()
    return b""


async def _speaks_tls(host: str, port: int) -> bool:
    """Whether the server completes a TLS handshake."""
    context = ssl.create_default_context()
    # The certificate does not matter: nothing is sent over this connection.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError):
        async with asyncio.timeout(_PROBE_TIMEOUT.total_seconds()):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.transport.abort()
        return True
    return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what led to it; redis-py keeps the error of the socket as the context."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _cause_of_one(error: BaseException) -> Cause | None:
    """The cause, if this error alone shows it."""
    if isinstance(error, RedisError):
        for part, cause in _BY_TEXT:
            if part in str(error):
                return cause
    if isinstance(error, InvalidResponse):
        return NOT_REDIS
    if reply := _BY_REPLY.get(reason_of(error)):
        return reply
    if isinstance(error, ResponseError):
        return Cause("rejected", "Redis replied with an error", "Check the log of Redis.")
    if isinstance(error, ssl.SSLError):
        return _tls_cause(error)
    return _socket_cause(error)


def _tls_cause(error: ssl.SSLError) -> Cause:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, _INVALID_CERTIFICATE)
    reason = error.reason or ""
    if any(alert in reason for alert in _CLIENT_CERTIFICATE_ALERTS):
        return CLIENT_CERTIFICATE_REQUIRED
    return NO_TLS if any(name in reason for name in _PLAINTEXT) else _TLS_FAILED


def _socket_cause(error: BaseException) -> Cause | None:
    # The multiplexer aborts a connection on which replies are too late.
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return TIMED_OUT
    if isinstance(error, socket.gaierror):
        return _NAME_NOT_FOUND
    if isinstance(error, OSError):
        # If a host has several addresses, asyncio raises an error that has the numbers in its text.
        numbers = _ERRNO_IN_TEXT.findall(str(error))
        number = error.errno or (int(numbers[-1]) if numbers else None)
        return _BY_ERRNO.get(number or 0, CLOSED if isinstance(error, ConnectionError) else None)
    return CLOSED if "closed by server" in str(error) else None
