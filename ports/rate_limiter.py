"""Quotas per address, so that one client cannot evict everyone else's conversations."""

from enum import Enum
from typing import Protocol

from domain.model.rate_limits import Payer


class Quota(Enum):
    """What is counted, per address and hour."""

    NEW = "new"
    """The number of new conversations and client keys."""

    STORED = "stored"
    """The bytes of stored text."""


class RateLimiter(Protocol):
    """Counts what each address uses."""

    async def consume(self, payer: Payer, quota: Quota, amount: int = 1) -> None:
        """Take ``amount`` from what the payer's address has left this hour.

        Raises:
            TooManyRequests: less than ``amount`` is left; nothing was taken.
            StoreUnavailable: the counters cannot be reached.
        """
        ...
