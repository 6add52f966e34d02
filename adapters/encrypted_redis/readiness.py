"""Whether Redis answers."""

from adapters.encrypted_redis.commands import Commands


class RedisReadiness:
    """Ready when Redis answers a PING over the one connection."""

    def __init__(self, commands: Commands) -> None:
        """Asks over the connection that everything goes over."""
        self._commands = commands

    async def check(self) -> None:
        """See ``ports.readiness.Readiness.check``."""
        await self._commands.once("ready", "PING")
