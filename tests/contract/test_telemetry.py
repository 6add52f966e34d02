"""The promises of every telemetry adapter: see ``ports.telemetry``."""

import pytest

from ports.telemetry import EVENTS, Telemetry
from tests.contract.adapters import TELEMETRY
from tests.support.builders import ID

WRITTEN = "the-heron-sleeps-standing"


@pytest.fixture(params=sorted(TELEMETRY))
def telemetry(request: pytest.FixtureRequest) -> Telemetry:
    return TELEMETRY[request.param]()


@pytest.mark.parametrize("event", [*EVENTS, "", "odd %s {"])
def test_emitting_any_event_never_fails(telemetry: Telemetry, event: str) -> None:
    telemetry.emit(event)
    telemetry.emit(event, session_id=ID, pieces=3, seconds=0.5, error=None, text="odd %d {\n\0")


def test_a_session_id_is_never_written(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.emit("turn.finished", session_id=ID)
    captured = capsys.readouterr()

    assert ID not in captured.out + captured.err


@pytest.mark.parametrize("event", ["turn.finished", "store.unavailable", "made.up"])
def test_a_field_that_the_event_does_not_have_is_never_written(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str], event: str
) -> None:
    telemetry.emit(event, pieces=3, message=WRITTEN)
    captured = capsys.readouterr()

    assert event in captured.out + captured.err
    assert WRITTEN not in captured.out + captured.err
