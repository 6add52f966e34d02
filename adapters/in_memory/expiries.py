"""Expiry times, and which of them have passed."""

from collections.abc import Iterator
from datetime import timedelta
from heapq import heappop, heappush

from attrs import define, field

from domain.model.identifiers import SessionId


@define
class Expiries:
    """When each conversation expires.

    The heap may hold times that are too early. ``due`` corrects them when they come up, so that
    postponing an expiry costs nothing.
    """

    _expires_at: dict[SessionId, timedelta] = field(factory=dict)
    _heap: list[tuple[timedelta, SessionId]] = field(factory=list)
    _in_heap: dict[SessionId, timedelta] = field(factory=dict)

    def put(self, session_id: SessionId, at: timedelta) -> None:
        """Set or replace the expiry."""
        self._expires_at[session_id] = at
        scheduled = self._in_heap.get(session_id)
        if scheduled is None or at < scheduled:
            self._schedule(session_id, at)

    def remove(self, session_id: SessionId) -> None:
        """Remove the expiry; no error if there is none."""
        self._expires_at.pop(session_id, None)

    def due(self, now: timedelta) -> Iterator[SessionId]:
        """Remove and yield the conversations that have expired by ``now``."""
        while self._heap and self._heap[0][0] <= now:
            scheduled, session_id = heappop(self._heap)
            if self._in_heap.get(session_id) != scheduled:
                continue
            del self._in_heap[session_id]
            at = self._expires_at.get(session_id)
            if at is not None and at > now:
                self._schedule(session_id, at)
            elif at is not None:
                del self._expires_at[session_id]
                yield session_id

    def _schedule(self, session_id: SessionId, at: timedelta) -> None:
        self._in_heap[session_id] = at
        heappush(self._heap, (at, session_id))
