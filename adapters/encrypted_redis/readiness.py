"""Whether Redis accepts our writes."""

import asyncio
from datetime import timedelta
from typing import Final

from adapters.encrypted_redis.keys_and_scripts import READINESS_KEYS, READY
from adapters.encrypted_redis.redis_client import RedisClient
from ports.clock import Clock
from ports.errors import PortError, StoreUnavailable

REMEMBERED_FOR: Final = timedelta(seconds=1)
_OPERATION: Final = "ready"


class RedisReadiness:
    """Ready if Redis carries out a write over the one connection.

    A PING is not enough: a full server, one that cannot persist, and a replica all answer it, and
    our user may lack permissions for the keys of the limits. A result is reused for one second,
    so at most one write per second is sent, however many requests there are.
    """

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        """``client`` is the one that the store and the log use."""
        self._client = client
        self._clock = clock
        self._newest: asyncio.Task[bool] | None = None
        self._begun_at = timedelta.min

    async def check(self) -> None:
        """See ``ports.readiness.Readiness.check``."""
        now = self._clock.monotonic()
        if self._newest is None or (self._newest.done() and now - self._begun_at >= REMEMBERED_FOR):
            self._newest, self._begun_at = asyncio.create_task(self._accepts_writes()), now
        # A caller that is cancelled must not cancel the check of the others.
        if not await asyncio.shield(self._newest):
            raise StoreUnavailable(_OPERATION)

    async def _accepts_writes(self) -> bool:
        try:
            await self._client.run_script(_OPERATION, READY, READINESS_KEYS, repeat=False)
        except PortError:
            return False
        return True
