"""Memory is always there."""


class InMemoryReadiness:
    """Ready as long as the process is."""

    async def check(self) -> None:
        """See ``ports.readiness.Readiness.check``."""
