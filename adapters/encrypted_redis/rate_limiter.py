"""Rate limits counted in Redis, for all processes together.

Each request is one script, which checks all of its limits before it counts anything. Redis's clock
is the only one.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from adapters.encrypted_redis.command_queue import Argument
from adapters.encrypted_redis.keys_and_scripts import CONSUME, HOLD, SETTLE, limit_key
from adapters.encrypted_redis.redis_client import RedisClient
from domain.model.rate_limits import OPEN_TURNS_RETRY, SLOT_LEASE, Charge, Limit, TurnSlot
from domain.service.rate_limiting import (
    Counter,
    counters_of,
    microseconds,
    open_turn_limits,
    remaining,
)
from ports.errors import TooManyRequests, limit_error

_LEASE: Final = round(microseconds(SLOT_LEASE))


class RedisRateLimiter:
    """Counts in Redis. A repeated script may count twice, which is better than not at all."""

    def __init__(self, *, client: RedisClient, limits: Sequence[Limit]) -> None:
        """``limits`` is the table of all limits; empty for none."""
        self._client = client
        self._limits = limits

    async def consume(self, charge: Charge, slot: TurnSlot | None = None) -> bool:
        """See ``ports.rate_limiter.RateLimiter.consume``."""
        counters, open_turns = counters_of(self._limits, charge), self._open_turns(slot)
        keys = _keys(counters, open_turns)
        if not keys:
            return True
        reply = await self._client.run_script(
            "consume",
            CONSUME,
            keys,
            len(counters),
            *_fields(slot),
            _LEASE,
            *_costs(counters),
            *(limit.amount for limit, _ in open_turns),
            repeat=True,
        )
        if isinstance(reply, list):
            limits = [*(counter.limit for counter in counters), *(limit for limit, _ in open_turns)]
            raise _refusal(limits[reply[0] - 1], float(reply[1]), float(reply[2]))
        return bool(reply == b"OK")

    async def settle(self, charge: Charge, slot: TurnSlot | None = None) -> None:
        """See ``ports.rate_limiter.RateLimiter.settle``."""
        counters = counters_of(self._limits, charge)
        keys = _keys(counters, self._open_turns(slot))
        if keys:
            arguments = (len(counters), *_fields(slot), *_costs(counters))
            await self._client.run_script("settle", SETTLE, keys, *arguments, repeat=True)

    async def hold(self, slot: TurnSlot) -> None:
        """See ``ports.rate_limiter.RateLimiter.hold``."""
        keys = _keys((), self._open_turns(slot))
        if keys:
            arguments = (*_fields(slot), _LEASE)
            await self._client.run_script("hold", HOLD, keys, *arguments, repeat=True)

    def _open_turns(self, slot: TurnSlot | None) -> Sequence[tuple[Limit, str]]:
        return () if slot is None else tuple(open_turn_limits(self._limits, slot.payer))


def _keys(counters: Sequence[Counter], open_turns: Sequence[tuple[Limit, str]]) -> tuple[str, ...]:
    return (
        *(limit_key(counter.limit.name, counter.subject) for counter in counters),
        *(limit_key(limit.name, subject) for limit, subject in open_turns),
    )


def _fields(slot: TurnSlot | None) -> tuple[str, str]:
    return ("", "") if slot is None else (slot.conversation, slot.holder)


def _costs(counters: Sequence[Counter]) -> Sequence[Argument]:
    return [
        number for counter in counters for number in (repr(counter.cost), round(counter.window))
    ]


def _refusal(limit: Limit, wait: float, left: float) -> TooManyRequests:
    if limit.window is None:
        return limit_error(limit, remaining=0, retry_after=OPEN_TURNS_RETRY)
    retry_after = timedelta(microseconds=wait)
    return limit_error(limit, remaining=remaining(limit, left), retry_after=retry_after)
