"""Repeated requests are recognised."""

import pytest
from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.errors import IdempotencyKeyReused, RequestAlreadyAnswered
from domain.model.turn import IdempotencyKey
from domain.service.idempotency import REMEMBERED_KEYS, is_unanswered, turn_for_key
from domain.service.item_editing import branch_at_turn
from domain.service.turn_lifecycle import add_user_message, fail
from tests.support.builders import (
    OTHER_ID,
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


def key(number: int) -> IdempotencyKey:
    return IdempotencyKey(digest=number.to_bytes(5) + bytes(27), body_digest=b"body")


def after_keyed_turns(count: int) -> Conversation:
    """A conversation whose turns had the keys 1, 2 and so on."""
    conversation = a_conversation()
    for number in range(1, count + 1):
        new_turn = a_new_turn(number, idempotency=key(number))
        conversation = add_user_message(conversation, new_turn, question_id(number), ())
        conversation = with_answer(conversation, number=number)
    return conversation


def test_the_key_of_an_older_turn_is_refused_whatever_its_request() -> None:
    conversation = with_question(after_keyed_turns(2), number=3)
    changed = evolve(key(1), body_digest=b"changed")

    for repeated in (key(1), key(2), changed):
        with pytest.raises(RequestAlreadyAnswered):
            turn_for_key(conversation, repeated)


def test_the_last_32_keys_are_remembered() -> None:
    conversation = after_keyed_turns(REMEMBERED_KEYS + 1)

    assert turn_for_key(conversation, key(1)) is None
    for number in range(2, REMEMBERED_KEYS + 1):
        with pytest.raises(RequestAlreadyAnswered):
            turn_for_key(conversation, key(number))
    assert turn_for_key(conversation, key(REMEMBERED_KEYS + 1)) is conversation.turn


def test_a_released_key_is_not_remembered() -> None:
    failed = fail(opened_with(key(1)), turn_id(), [], NOON, "model_busy")
    conversation = with_question(failed, number=2)

    assert conversation.earlier_keys == ()
    assert turn_for_key(conversation, key(1)) is None


def test_a_branch_remembers_no_keys() -> None:
    branch = branch_at_turn(
        after_keyed_turns(3), 2, session_id=OTHER_ID, turn_id=turn_id(9), at=NOON
    )

    assert branch.earlier_keys == ()
    assert turn_for_key(branch, key(1)) is None


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
