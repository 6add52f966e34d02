"""The transition table of a turn, cell by cell; cursors; how turns end."""

from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.errors import InvalidInput, TurnSuperseded
from domain.model.identifiers import TurnId
from domain.model.turn import Cursor, Outcome, Turn, TurnEnd, TurnStatus, TurnStep, after_step
from tests.support.builders import reply_id, turn_id
from tests.support.clocks import NOON

OPEN = Turn(id=turn_id(), number=1, reply_id=reply_id(), opened_at=NOON)
LATER = NOON + timedelta(seconds=9)
DONE = "done"
SUPERSEDED = "superseded"
TABLE = {
    "finish": ("finished", DONE, SUPERSEDED, SUPERSEDED),
    "interrupt": ("interrupted", SUPERSEDED, DONE, SUPERSEDED),
    "fail": ("failed", SUPERSEDED, SUPERSEDED, DONE),
    "settle": ("interrupted", DONE, DONE, DONE),
}
STATUSES = ("open", "finished", "interrupted", "failed")
CELLS = [
    (step, status, cell)
    for step, row in TABLE.items()
    for status, cell in zip(STATUSES, row, strict=True)
]


def in_status(status: str) -> Turn:
    return OPEN if status == "open" else evolve(OPEN, status=TurnStatus(status), ended_at=NOON)


@pytest.mark.parametrize(("step", "status", "cell"), CELLS)
def test_every_cell_of_the_table(step: str, status: str, cell: str) -> None:
    turn = in_status(status)
    if cell == SUPERSEDED:
        with pytest.raises(TurnSuperseded):
            after_step(turn, TurnStep(step), LATER)
        return
    after = after_step(turn, TurnStep(step), LATER)

    if cell == DONE:
        assert after is turn
    else:
        assert (after.status, after.ended_at) == (TurnStatus(cell), LATER)


def test_the_table_has_every_step_and_every_status() -> None:
    assert set(TABLE) == {step.value for step in TurnStep}
    assert set(STATUSES) == {status.value for status in TurnStatus}


def test_a_failure_keeps_its_code() -> None:
    assert after_step(OPEN, TurnStep.FAIL, LATER, "model_busy").error == "model_busy"


@settings(max_examples=50)
@given(turn=st.from_regex(r"[0-9a-f]{32}", fullmatch=True), number=st.integers(0, 10**18 - 1))
def test_a_cursor_is_read_as_it_was_written(turn: str, number: int) -> None:
    cursor = Cursor(TurnId(turn), number)

    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".1", "a", "a.-1", "a.x", "a.1.", "a.²", "a." + "9" * 19]
)
def test_a_malformed_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Cursor.parse(text)

    assert refused.value.problem == "cursor_malformed"


@pytest.mark.parametrize("number", [0, -1])
def test_turns_are_numbered_from_one(number: int) -> None:
    with pytest.raises(ValueError, match="number"):
        evolve(OPEN, number=number)


def test_only_an_open_turn_is_open() -> None:
    assert [in_status(status).is_open for status in STATUSES] == [True, False, False, False]


@pytest.mark.parametrize(
    "end", [TurnEnd(outcome=Outcome.FINISHED), TurnEnd(outcome=Outcome.INTERRUPTED)]
)
def test_a_reply_is_complete_if_it_finished_or_was_stopped_on_purpose(end: TurnEnd) -> None:
    assert end.is_complete


@pytest.mark.parametrize(
    "end",
    [
        TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned"),
        TurnEnd(outcome=Outcome.FAILED, error="model_busy"),
        TurnEnd(outcome=Outcome.GONE, error="conversation_gone"),
        TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved"),
    ],
)
def test_a_reply_is_incomplete_if_anything_went_wrong(end: TurnEnd) -> None:
    assert not end.is_complete
