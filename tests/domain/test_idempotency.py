"""Repeated requests are recognised."""

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import IdempotencyKeyReused
from domain.model.turn import IdempotencyKey
from domain.service.turn_lifecycle import add_user_message, fail, is_unanswered, turn_for_key
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    after_turns,
    pieces_of,
    question_id,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON

KEY = IdempotencyKey(digest=b"key", body_digest=b"body")


def opened_with(key: IdempotencyKey) -> Conversation:
    return add_user_message(a_conversation(), a_new_turn(idempotency=key), question_id(), ())


@pytest.mark.parametrize("conversation", [opened_with(KEY), with_answer(opened_with(KEY))])
def test_a_repeated_request_finds_its_turn(conversation: Conversation) -> None:
    assert turn_for_key(conversation, KEY) is conversation.turn


def test_another_key_or_none_finds_no_turn() -> None:
    other = IdempotencyKey(digest=b"other", body_digest=b"body")

    assert turn_for_key(opened_with(KEY), other) is None
    assert turn_for_key(opened_with(KEY), None) is None
    assert turn_for_key(with_question(a_conversation()), KEY) is None
    assert turn_for_key(a_conversation(), KEY) is None


def test_the_same_key_with_another_request_is_refused() -> None:
    with pytest.raises(IdempotencyKeyReused):
        turn_for_key(opened_with(KEY), IdempotencyKey(digest=b"key", body_digest=b"changed"))


def test_only_a_conversation_without_a_reply_is_unanswered() -> None:
    failed = fail(with_question(a_conversation()), turn_id(), [], NOON, "model_busy")
    broken_off = fail(
        with_question(a_conversation()), turn_id(), pieces_of("H"), NOON, "model_failed"
    )

    assert is_unanswered(a_conversation())
    assert is_unanswered(failed)
    assert not is_unanswered(broken_off)
    assert not is_unanswered(with_question(a_conversation()))
    assert not is_unanswered(after_turns(1))
