"""Which requests can interrupt an open turn."""

from collections.abc import Callable

import pytest

from domain.model.conversation import Conversation, tail_of
from domain.model.errors import InvalidInput, MessageNotFound, OlderMessagesNeeded, TurnInProgress
from domain.model.identifiers import MessageId
from domain.model.message import TextPart
from domain.service.regeneration import edit_message, regenerate
from domain.service.tool_answers import submit_tool_results
from domain.service.turn_lifecycle import add_user_message
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    after_turns,
    question_id,
    reply_id,
    texts_of,
    with_question,
)

Change = Callable[[Conversation], Conversation]
HELLO = (TextPart("Hello!"),)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: add_user_message(c, a_new_turn(9), reply_id(1), HELLO),
        lambda c: add_user_message(c, a_new_turn(9), reply_id(2), HELLO),
        lambda c: edit_message(c, a_new_turn(9), reply_id(1), HELLO),
        lambda c: edit_message(c, a_new_turn(9), MessageId("unknown"), HELLO),
        lambda c: regenerate(c, a_new_turn(9), MessageId("unknown")),
    ],
)
def test_a_request_that_would_fail_anyway_interrupts_no_reply(change: Change) -> None:
    with pytest.raises((InvalidInput, MessageNotFound)):
        change(with_question(after_turns(1), "And?", 2))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: add_user_message(c, a_new_turn(9), question_id(2), HELLO),
        lambda c: add_user_message(c, a_new_turn(9), question_id(9), HELLO),
        lambda c: edit_message(c, a_new_turn(9), question_id(2), HELLO),
        lambda c: regenerate(c, a_new_turn(9), question_id(2)),
        lambda c: regenerate(c, a_new_turn(9), reply_id(1)),
        lambda c: regenerate(c, a_new_turn(9), reply_id(2)),
    ],
)
def test_a_reply_can_be_interrupted_for_a_request_that_would_succeed(change: Change) -> None:
    with pytest.raises(TurnInProgress) as busy:
        change(with_question(after_turns(1), "And?", 2))

    assert busy.value.can_interrupt


def test_no_reply_can_be_interrupted_for_tool_results() -> None:
    with pytest.raises(TurnInProgress) as busy:
        submit_tool_results(with_question(a_conversation()), a_new_turn(2), ())

    assert not busy.value.can_interrupt


def test_older_messages_are_needed_if_one_of_them_may_have_the_id() -> None:
    conversation = tail_of(after_turns(3), 2)

    with pytest.raises(OlderMessagesNeeded):
        add_user_message(conversation, a_new_turn(4), question_id(1), HELLO)
    assert (
        texts_of(add_user_message(conversation, a_new_turn(4), question_id(4), HELLO, is_new=True))[
            -1
        ]
        == "Hello!"
    )
