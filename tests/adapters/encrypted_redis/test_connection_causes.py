"""Causes that a test cannot bring about with a real server, and what docs/operations.md says."""

import errno
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from adapters.encrypted_redis import connection_causes
from adapters.encrypted_redis.command_queue import NotSent, OutcomeUnknown
from adapters.encrypted_redis.connection_causes import Cause, cause_of

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
WHILE_SERVING = {
    *("MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "READONLY", "OOM", "MISCONF"),
    *("overloaded", "failed", "too-many-files", "rejected"),
}
"""The service can start in spite of these, or they say nothing about the start."""


def causes(value: object) -> Iterator[Cause]:
    if isinstance(value, Cause):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from causes(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from causes(item)


def wrapped(error: Exception) -> RedisConnectionError:
    """``error`` as redis-py passes it on: as the context of an error of its own."""
    wrapping = RedisConnectionError("Error connecting to planted.test:6379.")
    wrapping.__context__ = error
    return wrapping


def invalid_certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (wrapped(OSError(errno.EHOSTUNREACH, "No route to host")), "unreachable"),
        (wrapped(OSError(errno.ENETUNREACH, "Network is unreachable")), "unreachable"),
        (wrapped(OSError(errno.EADDRNOTAVAIL, "Cannot assign")), "unreachable"),
        (wrapped(PermissionError(errno.EACCES, "Permission denied")), "no-permission"),
        (wrapped(OSError(errno.EMFILE, "Too many open files")), "too-many-files"),
        (wrapped(OSError(errno.ETIMEDOUT, "Connection timed out")), "timeout"),
        (wrapped(ConnectionResetError()), "closed"),
        (wrapped(invalid_certificate(66)), "certificate-invalid"),
        (wrapped(invalid_certificate(18)), "certificate-not-trusted"),
        (
            wrapped(OSError("Multiple exceptions: [Errno 111] ('::1'), [Errno 111] ('127.0.0.1')")),
            "refused",
        ),
        (RedisConnectionError("Connection closed by server."), "closed"),
        (ConnectionAbortedError("replies were too late"), "timeout"),
        (TimeoutError(), "timeout"),
        (NotSent("not sent in time"), "timeout"),
        (OutcomeUnknown("no reply in time"), "timeout"),
        (NotSent("too many commands are waiting"), "overloaded"),
        (BusyLoadingError("Redis is loading"), "LOADING"),
        (AuthenticationError("Authentication required."), "NOAUTH"),
        (ResponseError("OOM command not allowed when used memory > 'maxmemory'."), "OOM"),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), "MISCONF"),
        (ResponseError("ERR planted"), "rejected"),
        (RedisError("planted"), "failed"),
    ],
)
def test_the_code_of_an_error(error: Exception, code: str) -> None:
    assert cause_of(error).code == code


def test_the_cause_of_a_command_is_that_of_its_connection() -> None:
    error = NotSent("there is no connection")
    error.__cause__ = wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))

    assert cause_of(error).code == "refused"


def test_the_page_for_operators_lists_every_cause_of_a_start_that_fails() -> None:
    table = OPERATIONS.read_text("utf-8").partition("| `Redis at …:` |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    # A row leaves out the beginning of a sentence that it shares with the row before it.
    ends = [end.strip("… ") for cell in cells for end in cell.split("`")[1::2]]
    every = [cause for value in vars(connection_causes).values() for cause in causes(value)]
    texts = {cause.text for cause in every if cause.code not in WHILE_SERVING}

    assert {text for text in texts if not text.endswith(tuple(ends))} == set()
    assert {end for end in ends if not any(text.endswith(end) for text in texts)} == set()
