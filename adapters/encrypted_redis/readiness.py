"""Whether Redis accepts our writes."""

from adapters.encrypted_redis.keys_and_scripts import READINESS_KEY, READY
from adapters.encrypted_redis.redis_client import RedisClient


class RedisReadiness:
    """Ready if Redis carries out a write over the one connection.

    A PING is not enough: a full server, one that cannot persist, and a replica all answer it.
    """

    def __init__(self, client: RedisClient) -> None:
        """``client`` is the one that the store and the log use."""
        self._client = client

    async def check(self) -> None:
        """See ``ports.readiness.Readiness.check``."""
        await self._client.run_script("ready", READY, (READINESS_KEY,), repeat=False)
