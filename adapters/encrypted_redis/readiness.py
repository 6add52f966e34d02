"""Whether Redis takes our writes."""

from adapters.encrypted_redis.keys_and_scripts import NOBODYS_KEY, READY
from adapters.encrypted_redis.redis_client import RedisClient


class RedisReadiness:
    """Ready when Redis takes a write over the one connection.

    An answered PING would not do: a full server, one that cannot persist and a replica answer it.
    """

    def __init__(self, commands: RedisClient) -> None:
        """Asks over the connection that everything goes over."""
        self._commands = commands

    async def check(self) -> None:
        """See ``ports.readiness.Readiness.check``."""
        await self._commands.run_script("ready", READY, (NOBODYS_KEY,), repeat=False)
