"""Counts what callers use, so that no caller can use up what everybody else needs."""

from typing import Protocol

from domain.model.rate_limits import Charge, TurnSlot


class RateLimiter(Protocol):
    """Counts for all processes together, if they share a store."""

    async def consume(self, charge: Charge, slot: TurnSlot | None = None) -> bool:
        """Count what is about to be used, and take a slot for an open turn.

        All limits are checked before anything is counted. Returns False if another turn of the
        conversation holds the slot. That turn keeps it, and both turns count as one open turn.

        Raises:
            TooManyRequests: a limit would be exceeded; nothing was counted.
            StoreUnavailable: the counters cannot be reached.
        """
        ...

    async def settle(self, charge: Charge, slot: TurnSlot | None = None) -> None:
        """Count what has been used already, or give it back, and release the slot.

        Nothing is refused: what exceeds the limit is owed, up to the amount of the limit, and
        delays what is consumed next. A slot that another turn has taken is not released.

        Raises:
            StoreUnavailable: the counters cannot be reached.
        """
        ...

    async def hold(self, slot: TurnSlot) -> None:
        """Hold the slot for another ``SLOT_LEASE``, even if another turn had it.

        Raises:
            StoreUnavailable: the counters cannot be reached.
        """
        ...
