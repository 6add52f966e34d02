"""Whether what the service stands on can be reached."""

from typing import Protocol


class Readiness(Protocol):
    """Tells whether conversations can be kept right now."""

    async def check(self) -> None:
        """Return when they can.

        Raises:
            StoreUnavailable: the store does not answer, or does not let us write.
        """
        ...
