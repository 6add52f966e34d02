"""What operators get to know: that something happened, never what was said."""

from typing import Protocol


class Telemetry(Protocol):
    """Takes note of events. It never fails and never waits."""

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """Note an event such as ``turn.finished`` with ids, counts, codes and seconds only.

        A ``session_id`` among the facts is replaced by a keyed digest.
        """
        ...
