"""Which requests a reply that is still being written gives way to."""

from collections.abc import Callable

import pytest

from domain.model.conversation import Conversation, last_messages
from domain.model.errors import InvalidInput, MessageNotFound, OlderMessagesNeeded, TurnInProgress
from domain.model.identifiers import MessageId
from domain.model.message import TextPart
from domain.service.tool_answers import answer_tools
from domain.service.turn_lifecycle import answer_again, edit, say
from tests.support.builders import (
    a_conversation,
    after_turns,
    an_opening,
    asked,
    question_id,
    reply_id,
    texts_of,
)

Change = Callable[[Conversation], Conversation]
HELLO = (TextPart("Hello!"),)


@pytest.mark.parametrize(
    "bad",
    [
        lambda c: say(c, an_opening(9), reply_id(1), HELLO),
        lambda c: say(c, an_opening(9), reply_id(2), HELLO),
        lambda c: edit(c, an_opening(9), reply_id(1), HELLO),
        lambda c: edit(c, an_opening(9), MessageId("unknown"), HELLO),
        lambda c: answer_again(c, an_opening(9), MessageId("unknown")),
    ],
)
def test_what_could_not_be_done_later_either_stops_no_reply(bad: Change) -> None:
    with pytest.raises((InvalidInput, MessageNotFound)):
        bad(asked(after_turns(1), "And?", 2))


@pytest.mark.parametrize(
    "other",
    [
        lambda c: say(c, an_opening(9), question_id(2), HELLO),
        lambda c: say(c, an_opening(9), question_id(9), HELLO),
        lambda c: edit(c, an_opening(9), question_id(2), HELLO),
        lambda c: answer_again(c, an_opening(9), question_id(2)),
        lambda c: answer_again(c, an_opening(9), reply_id(1)),
        lambda c: answer_again(c, an_opening(9), reply_id(2)),
    ],
)
def test_a_reply_gives_way_to_what_could_be_done_without_it(other: Change) -> None:
    with pytest.raises(TurnInProgress) as busy:
        other(asked(after_turns(1), "And?", 2))

    assert busy.value.gives_way


def test_no_reply_gives_way_to_results_of_tools() -> None:
    with pytest.raises(TurnInProgress) as busy:
        answer_tools(asked(a_conversation()), an_opening(2), ())

    assert not busy.value.gives_way


def test_an_id_that_an_older_message_may_have_is_looked_for() -> None:
    known = last_messages(after_turns(3), 2)

    with pytest.raises(OlderMessagesNeeded):
        say(known, an_opening(4), question_id(1), HELLO)
    assert texts_of(say(known, an_opening(4), question_id(4), HELLO, is_new=True))[-1] == "Hello!"
