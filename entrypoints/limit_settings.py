"""The settings of the limits on what callers may use. docs/limits.md has them as a table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from domain.model.rate_limits import DAY, HOUR, MINUTE, Limit, Quota, Scope
from entrypoints.setting_types import ON_OR_OFF, setting, whole_number

_COUNT = whole_number(1, 10_000_000)
_BYTES = whole_number(10_000, 10**12)
_TOKENS = whole_number(1_000, 10**12)
STORED_BYTES_WITH_IMAGES: Final[Mapping[str, int]] = MappingProxyType(
    {"stored_bytes_per_hour": 40_000_000, "stored_bytes_per_hour_per_key": 10_000_000}
)
"""The defaults where users can send images."""


@frozen(kw_only=True)
class LimitSettings:
    """All limits. A limit is per address, unless its name ends in ``_per_key`` or ``_in_all``."""

    limits: bool = setting(
        "PRIVITY_LIMITS",
        ON_OR_OFF,
        True,
        "`off` turns all of the limits below off, for tests.",
        shown="on",
    )
    messages_per_minute: int = setting(
        "PRIVITY_MESSAGES_PER_MINUTE",
        _COUNT,
        300,
        "Maximum number of messages per address per minute.",
    )
    messages_per_minute_per_key: int = setting(
        "PRIVITY_MESSAGES_PER_MINUTE_PER_KEY",
        _COUNT,
        30,
        "Maximum number of messages per client key, and per conversation, per minute.",
    )
    new_per_hour: int = setting(
        "PRIVITY_NEW_PER_HOUR",
        _COUNT,
        120,
        "Maximum number of new conversations and client keys, counted together, per address per "
        "hour.",
    )
    new_per_hour_per_key: int = setting(
        "PRIVITY_NEW_PER_HOUR_PER_KEY",
        _COUNT,
        30,
        "Maximum number of new conversations per client key per hour.",
    )
    stored_bytes_per_hour: int = setting(
        "PRIVITY_STORED_BYTES_PER_HOUR",
        _BYTES,
        4_000_000,
        "Maximum bytes of text and images stored per address per hour.",
        shown="4000000; with MODEL_IMAGES: 40000000",
    )
    stored_bytes_per_hour_per_key: int = setting(
        "PRIVITY_STORED_BYTES_PER_HOUR_PER_KEY",
        _BYTES,
        1_000_000,
        "Maximum bytes of text and images stored per client key per hour.",
        shown="1000000; with MODEL_IMAGES: 10000000",
    )
    tokens_per_hour_per_key: int = setting(
        "PRIVITY_TOKENS_PER_HOUR_PER_KEY",
        _TOKENS,
        500_000,
        "Maximum tokens of the model, in prompts and replies, per client key per hour.",
    )
    tokens_per_day: int = setting(
        "PRIVITY_TOKENS_PER_DAY",
        _TOKENS,
        5_000_000,
        "Maximum tokens of the model per address per day.",
    )
    tokens_per_day_in_all: int = setting(
        "PRIVITY_TOKENS_PER_DAY_IN_ALL",
        _TOKENS,
        50_000_000,
        "Maximum tokens of the model per day, of all callers together.",
    )
    open_turns: int = setting(
        "PRIVITY_OPEN_TURNS",
        whole_number(1, 100_000),
        64,
        "Maximum number of replies being written at once per address.",
    )
    open_turns_per_key: int = setting(
        "PRIVITY_OPEN_TURNS_PER_KEY",
        whole_number(1, 100_000),
        4,
        "Maximum number of replies being written at once per client key.",
    )

    @property
    def limit_table(self) -> tuple[Limit, ...]:
        """All limits; empty if they are off."""
        if not self.limits:
            return ()
        key, address = Scope.CLIENT_KEY, Scope.ADDRESS
        rows = (
            (Quota.MESSAGES, key, self.messages_per_minute_per_key, MINUTE),
            (Quota.MESSAGES, Scope.CONVERSATION, self.messages_per_minute_per_key, MINUTE),
            (Quota.MESSAGES, address, self.messages_per_minute, MINUTE),
            (Quota.NEW, key, self.new_per_hour_per_key, HOUR),
            (Quota.NEW, address, self.new_per_hour, HOUR),
            (Quota.STORED_BYTES, key, self.stored_bytes_per_hour_per_key, HOUR),
            (Quota.STORED_BYTES, address, self.stored_bytes_per_hour, HOUR),
            (Quota.TOKENS, key, self.tokens_per_hour_per_key, HOUR),
            (Quota.TOKENS, address, self.tokens_per_day, DAY),
            (Quota.TOKENS, Scope.TOTAL, self.tokens_per_day_in_all, DAY),
            (Quota.OPEN_TURNS, key, self.open_turns_per_key, None),
            (Quota.OPEN_TURNS, address, self.open_turns, None),
        )
        return tuple(
            Limit(quota=quota, scope=scope, amount=amount, window=window)
            for quota, scope, amount, window in rows
        )
