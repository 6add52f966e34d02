"""What the operating system lets the process do: who may read its memory, how many files it opens.

Every connection of a client needs an open file, and so does every connection to the model's server.
"""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_RESERVED_FILES: Final = 128
"""Open files for everything else: Redis, the listener, and connections that are refused."""


def forbid_memory_dumps() -> None:
    """No core dumps; on Linux, other processes of the same user cannot read the memory either.

    The memory contains conversations in plaintext.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_open_files() -> int:
    """Raise the limit of open files as far as the process may; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # macOS reports "unlimited", but does not accept it.
            return soft
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def possible_connections(open_files: int, connections: int, turns: int) -> int:
    """How many connections of clients are possible while ``turns`` replies are written.

    At most ``connections``. If there are too few open files for all, clients get at least half of
    them.
    """
    available = max(2, open_files - _RESERVED_FILES)
    return min(connections, max(available - turns, available // 2))
