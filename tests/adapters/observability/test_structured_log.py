"""Events in the log, with digests in place of session ids."""

import pytest
from structlog.testing import capture_logs

from adapters.observability.structured_log import StructuredLog
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


def test_fields_that_are_none_are_not_logged() -> None:
    with capture_logs() as lines:
        a_log().emit("turn.finished", session_id=None, error=None, pieces=0, stopped=False)

    assert lines == [{"event": "turn.finished", "log_level": "info", "pieces": 0, "stopped": False}]


@pytest.mark.parametrize(
    ("event", "level"),
    [
        ("turn.finished", "info"),
        ("turn.interrupted", "info"),
        ("conversation.forgotten", "info"),
        ("turn.failed", "warning"),
        ("turn.not-saved", "warning"),
        ("turn.settled", "warning"),
        ("turn.crashed", "error"),
        ("request.failed", "error"),
    ],
)
def test_every_event_has_its_log_level(event: str, level: str) -> None:
    with capture_logs() as lines:
        a_log().emit(event)

    assert [line["log_level"] for line in lines] == [level]
