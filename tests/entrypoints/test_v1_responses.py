"""A stored turn as a response."""

from datetime import UTC, datetime

import msgspec

from domain.model.message import UnknownPart
from domain.model.turn import TurnStatus
from domain.service.reply_reading import ReadTurn
from entrypoints.http.openai.responses import stored_response
from tests.support.builders import a_conversation


def read_turn(note: object) -> ReadTurn:
    return ReadTurn(
        number=1,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        before=(),
        reply=None,
        status=TurnStatus.OPEN,
        error=None,
        notes=(UnknownPart(msgspec.json.encode(note).decode()),),
    )


def test_a_response_repeats_what_was_stored_of_its_request() -> None:
    note = {
        "type": "data-response",
        "data": {"instructions": "Rhyme.", "text": {"verbosity": "low"}},
    }
    response = stored_response(a_conversation(), read_turn(note), "clerk")

    assert response.instructions == "Rhyme."
    assert response.text == {"format": {"type": "text"}, "verbosity": "low"}


def test_what_a_newer_release_stored_is_left_out() -> None:
    note = {"type": "data-response", "data": {"temperature": 1, "invented_later": True}}
    response = stored_response(a_conversation(), read_turn(note), "clerk")

    assert response.temperature == 1
    assert b"invented_later" not in msgspec.json.encode(response)


def test_a_note_of_another_kind_is_not_repeated() -> None:
    note = {"type": "reasoning", "data": {"instructions": "Rhyme."}}

    assert stored_response(a_conversation(), read_turn(note), "clerk").instructions is None
