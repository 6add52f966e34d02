"""Events in the log, with digests in place of session ids."""

import io

import pytest
import structlog
from structlog.testing import capture_logs

from adapters.observability.structured_log import StructuredLog
from ports.findings import Level
from ports.telemetry import EVENTS, Severity
from tests.support.builders import ID


def a_log() -> StructuredLog:
    return StructuredLog(lambda name: f"digest of {len(name)}")


def test_a_session_id_is_replaced_by_its_digest() -> None:
    with capture_logs() as lines:
        a_log().emit("turn.finished", session_id=ID, pieces=3, seconds=0.5)

    assert lines == [
        {
            "event": "turn.finished",
            "log_level": "info",
            "session": "digest of 36",
            "pieces": 3,
            "seconds": 0.5,
        }
    ]
    assert ID not in str(lines)


class _ClosedPipe(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_log_that_cannot_be_written_is_no_error(is_closed: bool) -> None:  # noqa: FBT001
    file = _ClosedPipe()
    if is_closed:
        file.close()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=file))
    try:
        a_log().emit("service.stopped", seconds=1)
    finally:
        structlog.reset_defaults()


def test_fields_that_are_none_are_not_logged() -> None:
    with capture_logs() as lines:
        a_log().emit("turn.finished", session_id=None, error=None, pieces=0, kept=False)

    assert lines == [{"event": "turn.finished", "log_level": "info", "pieces": 0, "kept": False}]


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (name, declared.severity.value)
        for name, declared in EVENTS.items()
        if declared.severity is not Severity.AS_FOUND
    ],
)
def test_an_event_is_logged_at_its_level(event: str, level: str) -> None:
    with capture_logs() as lines:
        a_log().emit(event)

    assert [line["log_level"] for line in lines] == [level]


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (Level.GOOD, "info"),
        (Level.UNKNOWN, "info"),
        (Level.WARNING, "warning"),
        (Level.PROBLEM, "error"),
    ],
)
def test_a_finding_is_logged_as_bad_as_it_is(finding: Level, level: str) -> None:
    with capture_logs() as lines:
        a_log().emit("redis.setting", topic="maxmemory", finding=finding.value)

    assert [line["log_level"] for line in lines] == [level]


def test_an_event_that_nobody_declared_is_an_error_without_fields() -> None:
    with capture_logs() as lines:
        a_log().emit("made.up", pieces=3)

    assert lines == [{"event": "made.up", "log_level": "error"}]
