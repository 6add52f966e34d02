"""Events for operators, which never contain what people wrote."""

from typing import Protocol


class Telemetry(Protocol):
    """Records events. It never fails and never waits."""

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """Record an event such as ``turn.finished`` with ids, counts, codes and seconds only.

        A ``session_id`` among the fields is replaced by a keyed digest.
        """
        ...
