"""A stored turn as a response."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from attrs import evolve

from domain.model.conversation import RETENTION
from domain.model.limits import MessageLimit
from domain.model.message import FinishReason, UnknownPart
from domain.model.turn import Outcome, TurnEnd, TurnStatus
from domain.service.reply_reading import ReadTurn
from entrypoints.http.openai.requests import (
    ResponseParameters,
    chain_name,
    parse_response_parameters,
)
from entrypoints.http.openai.responses import stored_response, stored_skeleton
from tests.support.builders import a_conversation
from tests.support.clocks import NOON


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


def parameters_of(**members: Any) -> ResponseParameters:
    return parse_response_parameters({"input": "Hi", **members}, MessageLimit())


def test_the_name_of_a_chain_belongs_to_one_person() -> None:
    parameters = parameters_of(prompt_cache_key="b c")
    other = parameters_of(prompt_cache_key="c")
    names = [chain_name(parameters, None), chain_name(parameters, "a"), chain_name(other, "b")]

    assert len({*names, None}) == 4


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"prompt_cache_key": ""},
        {"prompt_cache_key": "a", "store": False},
        {"prompt_cache_key": "a", "conversation": f"conv_{'0' * 32}"},
        {"prompt_cache_key": "a", "previous_response_id": f"resp_{'0' * 32}00000001"},
    ],
)
def test_a_request_that_continues_or_stores_nothing_has_no_chain(members: dict[str, Any]) -> None:
    assert chain_name(parameters_of(**members), None) is None


def test_a_response_was_completed_when_its_reply_was_stored() -> None:
    skeleton = stored_skeleton(a_conversation(), read_turn({}), "clerk")
    end = TurnEnd(
        outcome=Outcome.FINISHED, finish_reason=FinishReason.STOP, expires_at=NOON + RETENTION
    )
    later = NOON + timedelta(seconds=5)

    assert skeleton.ended(end, [], later).completed_at == NOON.timestamp()
    unstored = evolve(end, expires_at=None)
    assert skeleton.ended(unstored, [], later).completed_at == later.timestamp()
