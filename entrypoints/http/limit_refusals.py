"""What a caller is told about a limit that is reached: a sentence, and response headers.

The headers are the RateLimit fields of draft-ietf-httpapi-ratelimit-headers.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from domain.model.rate_limits import DAY, HOUR, MINUTE, Limit, Quota

_COUNTED: Final[Mapping[Quota, str]] = MappingProxyType(
    {
        Quota.MESSAGES: "messages",
        Quota.NEW: "new conversations and client keys",
        Quota.STORED_BYTES: "stored bytes",
        Quota.TOKENS: "model tokens",
        Quota.OPEN_TURNS: "replies being written",
    }
)
_WINDOWS: Final[Mapping[timedelta, str]] = MappingProxyType(
    {MINUTE: "per minute", HOUR: "per hour", DAY: "per day"}
)
_UNITS: Final[Mapping[Quota, str]] = MappingProxyType(
    {
        Quota.STORED_BYTES: "content-bytes",
        Quota.TOKENS: "tokens",
        Quota.OPEN_TURNS: "concurrent-requests",
    }
)
"""The quota units of the RateLimit fields. A quota without an entry counts requests."""


def limit_reached(limit: Limit) -> str:
    """A sentence that names the limit, but never a client key or an address."""
    window = "at once" if limit.window is None else _WINDOWS[limit.window]
    return (
        f"The limit of {limit.amount:,} {_COUNTED[limit.quota]} {window} per "
        f"{limit.scope.value.replace('-', ' ')} is reached; please try again later."
    )


def rate_limit_fields(limit: Limit, remaining: int, retry_after: timedelta) -> dict[str, str]:
    """The RateLimit fields for one limit, of which ``remaining`` is left."""
    window = "" if limit.window is None else f";w={whole_seconds(limit.window)}"
    unit = f';qu="{_UNITS[limit.quota]}"' if limit.quota in _UNITS else ""
    return {
        "ratelimit-policy": f'"{limit.name}";q={limit.amount}{window}{unit}',
        "ratelimit": f'"{limit.name}";r={remaining};t={whole_seconds(retry_after)}',
    }


def whole_seconds(duration: timedelta) -> int:
    """At least one, and rounded up: a client that waits for so long must not be too early."""
    return max(1, math.ceil(duration.total_seconds()))
