"""Groups events that callers can cause as often as they like, so that they cannot fill the log.

The first event of a group is passed on at once. The following ones are counted, and at the end of
each minute the last of them is passed on with its ``count``. A minute without any ends the group.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, TypeAlias

from attrs import define, field

from ports.clock import Clock
from ports.telemetry import EVENTS, Telemetry

GROUPED_FOR: Final = timedelta(minutes=1)

Fields: TypeAlias = dict[str, str | float | bool | None]
Key: TypeAlias = tuple[str | float | bool | None, ...]


@define
class _Group:
    """Events that are held back until ``ends_at``, by the monotonic clock.

    Attributes:
        last: the fields of the last one.
    """

    ends_at: timedelta
    count: int = 0
    last: Fields = field(factory=dict)


class GroupedEvents:
    """Passes events on, but those that ``EVENTS`` groups at most once a minute per group."""

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        """``telemetry`` gets the events; ``clock`` times the minutes."""
        self._telemetry = telemetry
        self._clock = clock
        # In the order in which they end, because all of them are equally long.
        self._groups: dict[Key, _Group] = {}
        self._has_groups = asyncio.Event()

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """See ``ports.telemetry.Telemetry.emit``."""
        declared = EVENTS.get(event)
        if declared is None or not declared.grouped_by:
            self._telemetry.emit(event, **fields)
            return
        key = (event, *(fields.get(name) for name in declared.grouped_by))
        group = self._groups.get(key)
        if group is None:
            self._start(key)
            self._telemetry.emit(event, **fields, count=1)
        else:
            group.count, group.last = group.count + 1, fields

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While it is open, the end of each minute is noticed. On exit, all groups end."""
        task = asyncio.create_task(self._end_groups())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for key in list(self._groups):
                self._end(key)

    async def _end_groups(self) -> None:
        while True:
            await self._has_groups.wait()
            while self._groups:
                key, group = next(iter(self._groups.items()))
                left = group.ends_at - self._clock.monotonic()
                await self._clock.sleep(max(left, timedelta()))
                if self._end(key):
                    self._start(key)
            self._has_groups.clear()

    def _start(self, key: Key) -> None:
        self._groups[key] = _Group(self._clock.monotonic() + GROUPED_FOR)
        self._has_groups.set()

    def _end(self, key: Key) -> bool:
        """End a group; returns whether events were held back, which are now passed on."""
        group = self._groups.pop(key)
        if group.count:
            self._telemetry.emit(str(key[0]), **group.last, count=group.count)
        return group.count > 0
