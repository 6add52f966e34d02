"""Repeats what failed only because the store was unavailable or busy."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from ports.clock import Clock
from ports.errors import ConversationBusy, StoreUnavailable
from ports.turn_runner import Signals

_RETRY_PAUSE: Final = timedelta(milliseconds=500)
_Result = TypeVar("_Result")


async def retrying(
    attempt: Callable[[], Awaitable[_Result]],
    clock: Clock,
    at_most: timedelta,
    signals: Signals | None = None,
) -> _Result:
    """The result of ``attempt``, which is repeated while the store is unavailable or busy.

    Once ``signals`` say that the process shuts down, ``attempt`` is not repeated.

    Raises:
        StoreUnavailable, ConversationBusy: ``attempt`` still fails after ``at_most``, or at
            shutdown.
        Exception: anything else that ``attempt`` raises, at once.
    """
    deadline = clock.monotonic() + at_most
    while True:
        try:
            return await attempt()
        except (StoreUnavailable, ConversationBusy):
            if clock.monotonic() >= deadline or (signals is not None and signals.shutting_down):
                raise
        await clock.sleep(_RETRY_PAUSE)
