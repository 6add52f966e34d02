"""Leases in Redis: each process renews its own every second, so that others see that it runs.

    the lease of a watched process, at each of our own renewals    it has ended after
    ────────────────────────────────────────────────────────────   ──────────────────
    another value than before                                      (it runs)
    missing                                                        5 renewals
    the same value                                                 15 renewals

A renewal of ours proves that Redis accepted writes, so a running process has renewed its lease too.
A failed renewal in between does not restart the count: a Redis that restarts every few seconds only
delays the decision. Redis's clock plays no part in the decision, only in how long a lease stays.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeAlias

from attrs import define

from adapters.encrypted_redis.command_queue import Argument
from adapters.encrypted_redis.keys_and_scripts import LEASE_TTL, lease_key, milliseconds
from domain.model.identifiers import ProcessId
from ports.clock import Clock

RENEWALS_WHILE_MISSING: Final = 5
RENEWALS_WHILE_UNCHANGED: Final = 15
# Renewals that are closer together than this count as one. Each new connection renews at once, so a
# few quick reconnections would otherwise leave a watched process no time to reconnect.
_COUNTED_APART: Final = timedelta(milliseconds=900)
_MAX_WATCHED: Final = 64
_WATCHED_FOR: Final = 600
"""A process is no longer watched after this many renewals without a call of ``has_ended``."""

Call: TypeAlias = Callable[..., Awaitable[Any]]


@define
class _Watched:
    """The lease of another process.

    Attributes:
        value: what it was at the last renewal, None if it was missing; empty before the first.
        unchanged: how many counted renewals in a row have found the same value again.
        asked_at: the number of our own renewals up to the last call of ``has_ended``.
    """

    asked_at: int
    value: bytes | None = b""
    unchanged: int = 0

    def note(self, value: bytes | None, *, counts: bool) -> None:
        if value != self.value:
            self.value, self.unchanged = value, 0
        elif counts:
            self.unchanged += 1

    @property
    def has_ended(self) -> bool:
        missing = self.value is None
        return self.unchanged >= (RENEWALS_WHILE_MISSING if missing else RENEWALS_WHILE_UNCHANGED)


class RedisProcessLease:
    """The lease of this process, and the leases of up to 64 others."""

    def __init__(self, process: ProcessId, clock: Clock) -> None:
        """``process`` is the id of this process; ``clock`` tells how far apart renewals are."""
        self.process = process
        self._clock = clock
        self._renewals = 0
        self._counted_at: timedelta | None = None
        self._watched: OrderedDict[ProcessId, _Watched] = OrderedDict()

    def has_ended(self, process: ProcessId) -> bool:
        """See ``ports.process_lease.ProcessLease.has_ended``."""
        if process == self.process:
            return False
        if process not in self._watched and len(self._watched) >= _MAX_WATCHED:
            self._watched.popitem(last=False)
        watched = self._watched.setdefault(process, _Watched(self._renewals))
        watched.asked_at = self._renewals
        self._watched.move_to_end(process)
        return watched.has_ended

    async def renew(self, call: Call) -> None:
        """Renew our lease and look at the watched ones, with commands sent through ``call``.

        Raises:
            ConnectionTrouble: Redis did not answer.
            RedisError: Redis accepts no writes, or does not permit these commands.
        """
        self._renewals += 1
        watched = self._still_watched()
        lifetime = milliseconds(LEASE_TTL)
        _, *values = await asyncio.gather(
            _reply(call, "SET", lease_key(self.process), self._renewals, "PX", lifetime),
            *(_reply(call, "GET", lease_key(process)) for process in watched),
        )
        counts = self._counts()
        for process, value in zip(watched, values, strict=True):
            watched[process].note(value, counts=counts)

    def _still_watched(self) -> dict[ProcessId, _Watched]:
        forgotten = self._renewals - _WATCHED_FOR
        while self._watched and next(iter(self._watched.values())).asked_at < forgotten:
            self._watched.popitem(last=False)
        return dict(self._watched)

    def _counts(self) -> bool:
        now = self._clock.monotonic()
        if self._counted_at is not None and now - self._counted_at < _COUNTED_APART:
            return False
        self._counted_at = now
        return True


async def _reply(call: Call, *command: Argument) -> Any:
    return await call(*command)
