"""When things expire, the next one first."""

from collections.abc import Iterator
from datetime import timedelta
from heapq import heappop, heappush

from attrs import define, field

from domain.model.identifiers import SessionId


@define
class Expiries:
    """The time of each conversation's expiry. Putting it off costs nothing until it would come."""

    _at: dict[SessionId, timedelta] = field(factory=dict)
    _looks: list[tuple[timedelta, SessionId]] = field(factory=list)
    _next_look: dict[SessionId, timedelta] = field(factory=dict)

    def put(self, session_id: SessionId, at: timedelta) -> None:
        """It expires at ``at``, whatever was said before."""
        self._at[session_id] = at
        known = self._next_look.get(session_id)
        if known is None or at < known:
            self._look(session_id, at)

    def remove(self, session_id: SessionId) -> None:
        """It expires no more; absent is no error."""
        self._at.pop(session_id, None)

    def due(self, now: timedelta) -> Iterator[SessionId]:
        """Those that have expired by now, each once."""
        while self._looks and self._looks[0][0] <= now:
            looked_at, session_id = heappop(self._looks)
            if self._next_look.get(session_id) != looked_at:
                continue
            del self._next_look[session_id]
            at = self._at.get(session_id)
            if at is not None and at > now:
                self._look(session_id, at)
            elif at is not None:
                del self._at[session_id]
                yield session_id

    def _look(self, session_id: SessionId, at: timedelta) -> None:
        self._next_look[session_id] = at
        heappush(self._looks, (at, session_id))
