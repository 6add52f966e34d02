"""Reports when Redis is lost and when it is back, once per outage.

    the connection    ends, or a check fails    while it lasts    answers again    for 5 seconds
    event             redis.lost                redis.away        (none)           redis.back
                                                each minute

A Redis that restarts every few seconds is one outage, which ends with its last restart.
"""

from datetime import timedelta
from typing import Final

from adapters.encrypted_redis.connection_causes import cause_of
from ports.clock import Clock
from ports.telemetry import Telemetry

BACK_AFTER: Final = timedelta(seconds=5)
REPORTED_EVERY: Final = timedelta(minutes=1)


class Outages:
    """Follows one connection. A Redis that has never answered is not lost."""

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        """``clock`` times the outages."""
        self._telemetry = telemetry
        self._clock = clock
        self._has_answered = False
        self._lost_at: timedelta | None = None
        self._reported_at = timedelta()
        self._answers_since: timedelta | None = None
        self._failed_operations = 0

    @property
    def is_lost(self) -> bool:
        """Whether there is an outage at the moment."""
        return self._lost_at is not None

    def failed(self, error: BaseException) -> None:
        """Note that the connection has ended, was not made, or that a check has failed."""
        if not self._has_answered:
            return
        now, self._answers_since = self._clock.monotonic(), None
        reason = cause_of(error).code
        if self._lost_at is None:
            self._lost_at = self._reported_at = now
            self._failed_operations = 0
            self._telemetry.emit("redis.lost", reason=reason)
        elif now - self._reported_at >= REPORTED_EVERY:
            self._reported_at = now
            self._telemetry.emit(
                "redis.away",
                reason=reason,
                seconds=_seconds(now - self._lost_at),
                failed_operations=self._failed_operations,
            )

    def answered(self) -> None:
        """Note that Redis has answered a check."""
        now, self._has_answered = self._clock.monotonic(), True
        if self._lost_at is None:
            return
        if self._answers_since is None:
            self._answers_since = now
        if now - self._answers_since >= BACK_AFTER:
            seconds = _seconds(self._answers_since - self._lost_at)
            self._lost_at = None
            self._telemetry.emit(
                "redis.back", seconds=seconds, failed_operations=self._failed_operations
            )

    def operation_failed(self, operation: str, error: BaseException) -> None:
        """Count an operation that failed during the outage; without an outage, log it."""
        if self.is_lost:
            self._failed_operations += 1
        else:
            self._telemetry.emit(
                "store.unavailable", operation=operation, reason=cause_of(error).code
            )


def _seconds(duration: timedelta) -> float:
    return round(duration.total_seconds(), 1)
