"""What Redis's refusals mean, and which of them may pass.

LOADING, MASTERDOWN, CLUSTERDOWN, TRYAGAIN   not there yet: tried again
READONLY                                     a replica now: tried again over a new connection
BUSY                                         a script holds it up: tried again
OOM, MISCONF                                 it takes no writes: full, or cannot persist
NOPERM, NOAUTH, WRONGPASS                    the operator's to mend
WRONGTYPE                                    something else stands under our key
"""

from datetime import timedelta
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

READONLY: Final = "READONLY"
_PASSING: Final = ("LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", READONLY, "BUSY")
_LASTING: Final = ("OOM", "MISCONF", "NOPERM", "NOAUTH", "WRONGPASS", "WRONGTYPE", "NOSCRIPT")

_STEP: Final = timedelta(milliseconds=50)
_LONGEST: Final = timedelta(seconds=2)


def pause_after(failures: int) -> timedelta:
    """How long to wait before the next attempt."""
    return min(failures * _STEP, _LONGEST)


def reason_of(error: BaseException) -> str:
    """A refusal's first word, or the kind of the failure; never more of its text."""
    if isinstance(error, BusyLoadingError):
        return "LOADING"
    if isinstance(error, NoPermissionError):
        return "NOPERM"
    if isinstance(error, AuthenticationError):
        return "NOAUTH" if "required" in str(error) else "WRONGPASS"
    if isinstance(error, ResponseError):
        return _first_word(error)
    return type(error).__name__


def may_pass(error: RedisError) -> bool:
    """Whether the same command may succeed in a moment."""
    return reason_of(error) in _PASSING


def _first_word(error: ResponseError) -> str:
    # redis-py takes the code off the text of errors it has a class for.
    name = type(error).__name__
    known = {
        "ReadOnlyError": READONLY,
        "MasterDownError": "MASTERDOWN",
        "ClusterDownError": "CLUSTERDOWN",
        "TryAgainError": "TRYAGAIN",
        "OutOfMemoryError": "OOM",
        "NoScriptError": "NOSCRIPT",
    }
    if name in known:
        return known[name]
    word = str(error).partition(" ")[0]
    return word if word in (*_PASSING, *_LASTING) else "refused"
