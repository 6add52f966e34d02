"""Memory is always ready."""


class InMemoryReadiness:
    """Ready as long as the process runs."""

    async def check(self) -> None:
        """See ``ports.readiness.Readiness.check``."""
