"""When Redis counts as lost and as back, and what is reported meanwhile."""

from datetime import timedelta

from adapters.encrypted_redis.command_queue import OutcomeUnknown
from adapters.encrypted_redis.outages import BACK_AFTER, REPORTED_EVERY, Outages
from tests.support.clocks import ManualClock
from tests.support.fakes import RecordingTelemetry

SECOND = timedelta(seconds=1)
REFUSED = ConnectionRefusedError(111, "a planted address")
LATE = OutcomeUnknown("no reply in time")


class Observed:
    """Outages, and what they report."""

    def __init__(self) -> None:
        self.clock, self.telemetry = ManualClock(), RecordingTelemetry()
        self.outages = Outages(self.telemetry, self.clock)

    def answer(self, duration: timedelta = timedelta()) -> None:
        """Answer checks once per second for this long."""
        self.outages.answered()
        for _ in range(duration // SECOND):
            self.clock.advance(SECOND)
            self.outages.answered()

    def fail(self, duration: timedelta = timedelta(), error: Exception = REFUSED) -> None:
        self.outages.failed(error)
        for _ in range(duration // SECOND):
            self.clock.advance(SECOND)
            self.outages.failed(error)


def lost(**fields: object) -> Observed:
    observed = Observed()
    observed.answer()
    observed.fail(**fields)  # type: ignore[arg-type] # the arguments of fail
    observed.telemetry.emitted.clear()
    return observed


def test_an_outage_is_reported_once_with_its_cause() -> None:
    observed = Observed()
    observed.answer()
    observed.fail(10 * SECOND)

    assert observed.telemetry.emitted == [("redis.lost", {"reason": "refused"})]


def test_a_redis_that_has_never_answered_is_not_lost() -> None:
    observed = Observed()
    observed.fail(10 * SECOND)

    assert observed.telemetry.emitted == []


def test_its_return_is_reported_with_the_time_that_it_was_away() -> None:
    observed = lost(duration=30 * SECOND)
    observed.clock.advance(SECOND)
    observed.answer(BACK_AFTER)
    observed.answer(BACK_AFTER)

    fields = {"seconds": 31.0, "failed_operations": 0}
    assert observed.telemetry.emitted == [("redis.back", fields)]


def test_a_redis_that_restarts_every_few_seconds_is_one_outage() -> None:
    observed = lost()
    for _ in range(10):
        observed.answer(BACK_AFTER - SECOND)
        observed.fail(SECOND)
    during = list(observed.telemetry.emitted)
    observed.answer(BACK_AFTER)

    assert during == []
    assert observed.telemetry.events == ["redis.back"]


def test_a_long_outage_is_reported_once_per_minute_with_the_newest_cause() -> None:
    observed = lost(duration=10 * SECOND)
    observed.fail(3 * REPORTED_EVERY, LATE)

    assert observed.telemetry.emitted == [
        ("redis.away", {"reason": "timeout", "seconds": seconds, "failed_operations": 0})
        for seconds in (60.0, 120.0, 180.0)
    ]


def test_operations_that_fail_during_an_outage_are_counted_and_not_logged() -> None:
    observed = lost()
    for _ in range(1_000):
        observed.outages.operation_failed("load", REFUSED)
    observed.fail(REPORTED_EVERY)
    observed.answer(BACK_AFTER)

    assert [fields["failed_operations"] for _, fields in observed.telemetry.emitted] == [1_000] * 2


def test_each_outage_counts_anew() -> None:
    observed = lost()
    observed.outages.operation_failed("load", REFUSED)
    observed.answer(BACK_AFTER)
    observed.fail()
    observed.answer(BACK_AFTER)

    counts = [fields["failed_operations"] for fields in observed.telemetry.fields_of("redis.back")]
    assert counts == [1, 0]


def test_an_operation_that_fails_without_an_outage_is_logged() -> None:
    observed = Observed()
    observed.answer()
    observed.outages.operation_failed("load", REFUSED)

    fields = {"operation": "load", "reason": "refused"}
    assert observed.telemetry.emitted == [("store.unavailable", fields)]
