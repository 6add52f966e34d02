"""The errors that Redis replies with: their meaning, and which of them are transient.

LOADING, MASTERDOWN, CLUSTERDOWN, TRYAGAIN   not ready yet: retried
READONLY                                     it is now a replica: retried on a new connection
BUSY                                         a script has been running for too long: retried
OOM, MISCONF                                 it accepts no writes: it is full, or cannot persist
NOPERM, NOAUTH, WRONGPASS                    the operator must fix the user or its password
WRONGTYPE                                    the key holds a value of another type
NOSCRIPT                                     the script's text must be sent
"""

from datetime import timedelta
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    ResponseError,
)

from adapters.encrypted_redis.command_queue import ConnectionTrouble

READONLY: Final = "READONLY"
_TRANSIENT: Final = ("LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", READONLY, "BUSY")
_PERMANENT: Final = ("OOM", "MISCONF", "NOPERM", "NOAUTH", "WRONGPASS", "WRONGTYPE", "NOSCRIPT")
_FORBIDDEN_IN_SCRIPT: Final = ("The user executing the script can't", "ACL failure in script")
"""How Redis 7.0 and newer servers reply if a script may not use a command or a key."""

_PAUSE_STEP: Final = timedelta(milliseconds=50)
_LONGEST_PAUSE: Final = timedelta(seconds=2)


def pause_after(failures: int) -> timedelta:
    """How long to wait after this many failures in a row."""
    return min(failures * _PAUSE_STEP, _LONGEST_PAUSE)


def reason_of(error: BaseException) -> str:
    """The code of an error reply, or the name of the exception's type; never its full text."""
    if isinstance(error, BusyLoadingError):
        return "LOADING"
    if isinstance(error, NoPermissionError):
        return "NOPERM"
    if isinstance(error, AuthenticationError):
        return "NOAUTH" if "required" in str(error) else "WRONGPASS"
    if isinstance(error, ResponseError):
        return _first_word(error)
    return type(error).__name__


def is_transient(error: Exception) -> bool:
    """Whether the same command may succeed a moment later."""
    return isinstance(error, ConnectionTrouble) or reason_of(error) in _TRANSIENT


def _first_word(error: ResponseError) -> str:
    # redis-py removes the code from the text of errors that have a class of their own.
    name = type(error).__name__
    codes = {
        "ReadOnlyError": READONLY,
        "MasterDownError": "MASTERDOWN",
        "ClusterDownError": "CLUSTERDOWN",
        "TryAgainError": "TRYAGAIN",
        "OutOfMemoryError": "OOM",
        "NoScriptError": "NOSCRIPT",
    }
    if name in codes:
        return codes[name]
    if str(error).removeprefix("ERR ").startswith(_FORBIDDEN_IN_SCRIPT):
        return "NOPERM"
    word = str(error).partition(" ")[0]
    return word if word in (*_TRANSIENT, *_PERMANENT) else "refused"
