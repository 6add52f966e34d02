"""Shares the event loop fairly among the addresses that connect to it."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from attrs import define, field

CALLS_AT_ONCE: Final = 4
"""How many calls of one address run in one pass of the event loop."""
MAX_WAITING: Final = 2_048
MAX_WAITING_BYTES: Final = 2_097_152
"""How much the calls of one address that wait may keep in memory."""


@define
class _Waiting:
    """The calls of one address that wait, with the bytes that each keeps in memory."""

    calls: deque[tuple[Callable[[], None], int]] = field(factory=deque)
    bytes: int = 0


class FairShares:
    """Delays the calls of an address beyond ``CALLS_AT_ONCE`` to the next passes of the loop.

    The calls of one address keep their order. Other addresses are not delayed by those that wait.
    """

    def __init__(self) -> None:
        """Start with no calls."""
        self._counts: Counter[str] = Counter()
        self._waiting: dict[str, _Waiting] = {}
        self._is_scheduled = False

    def take(self, address: str) -> bool:
        """Whether the address may run a call now. If not, the call has to ``wait``."""
        if address in self._waiting or self._counts[address] >= CALLS_AT_ONCE:
            return False
        self._counts[address] += 1
        self._schedule()
        return True

    def wait(self, address: str, call: Callable[[], None], size: int = 0) -> bool:
        """Run ``call`` in a later pass, after all calls of this address that already wait.

        Returns whether it will run: too many calls may wait already, or keep too many bytes in
        memory. ``size`` is what this one keeps.
        """
        waiting = self._waiting.setdefault(address, _Waiting())
        self._schedule()
        if len(waiting.calls) >= MAX_WAITING or waiting.bytes + size > MAX_WAITING_BYTES:
            return False
        waiting.calls.append((call, size))
        waiting.bytes += size
        return True

    def waiting(self, address: str) -> int:
        """How many calls of this address wait."""
        return len(self._waiting[address].calls) if address in self._waiting else 0

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._begin_pass)

    def _begin_pass(self) -> None:
        self._is_scheduled = False
        self._counts.clear()
        for address in list(self._waiting):
            self._run_next(address)

    def _run_next(self, address: str) -> None:
        waiting = self._waiting[address]
        # Scheduled first: an exception in one call must not delay the others for ever.
        self._schedule()
        for _ in range(min(len(waiting.calls), CALLS_AT_ONCE)):
            self._counts[address] += 1
            call, size = waiting.calls.popleft()
            waiting.bytes -= size
            call()
        if not waiting.calls:
            del self._waiting[address]
