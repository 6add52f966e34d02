"""Requests that were here before."""

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import IdempotencyKeyReused
from domain.model.turn import RequestKey
from domain.service.turn_lifecycle import fail, is_unanswered, say, turn_of_request
from tests.support.builders import (
    a_conversation,
    after_turns,
    an_opening,
    answered,
    asked,
    pieces_of,
    question_id,
    turn_id,
)
from tests.support.clocks import NOON

KEY = RequestKey(digest=b"key", body_digest=b"body")


def asked_with(key: RequestKey) -> Conversation:
    return say(a_conversation(), an_opening(request=key), question_id(), ())


@pytest.mark.parametrize("known", [asked_with(KEY), answered(asked_with(KEY))])
def test_a_repeated_request_meets_its_turn(known: Conversation) -> None:
    assert turn_of_request(known, KEY) is known.turn


def test_another_or_no_key_meets_nothing() -> None:
    other = RequestKey(digest=b"other", body_digest=b"body")

    assert turn_of_request(asked_with(KEY), other) is None
    assert turn_of_request(asked_with(KEY), None) is None
    assert turn_of_request(asked(a_conversation()), KEY) is None
    assert turn_of_request(a_conversation(), KEY) is None


def test_the_same_key_with_another_request_is_refused() -> None:
    with pytest.raises(IdempotencyKeyReused):
        turn_of_request(asked_with(KEY), RequestKey(digest=b"key", body_digest=b"changed"))


def test_only_what_was_never_answered_may_be_asked_once_more() -> None:
    failed = fail(asked(a_conversation()), turn_id(), [], NOON, "model_busy")
    broken = fail(asked(a_conversation()), turn_id(), pieces_of("H"), NOON, "model_failed")

    assert is_unanswered(a_conversation())
    assert is_unanswered(failed)
    assert not is_unanswered(broken)
    assert not is_unanswered(asked(a_conversation()))
    assert not is_unanswered(after_turns(1))
