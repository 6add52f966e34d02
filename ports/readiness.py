"""Whether the service can store conversations right now."""

from typing import Protocol


class Readiness(Protocol):
    """Checks the store."""

    async def check(self) -> None:
        """Return if conversations can be stored.

        Raises:
            StoreUnavailable: the store does not answer, or does not accept writes.
        """
        ...
