"""How much one address may ask for, so that nobody evicts everybody."""

from enum import Enum
from typing import Protocol


class Quota(Enum):
    """What is counted, each by address and hour."""

    NEW = "new"
    """New conversations and client keys, by number."""

    STORED = "stored"
    """What is stored, in bytes."""


class RateLimiter(Protocol):
    """Counts what callers use up."""

    async def consume(self, address: str, quota: Quota, amount: int = 1) -> None:
        """Take ``amount`` from what ``address`` has left this hour.

        Raises:
            TooManyRequests: it is used up; nothing was taken.
            StoreUnavailable: the count cannot be reached.
        """
        ...
