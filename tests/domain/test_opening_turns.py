"""How turns are opened."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.conversation import STAY, Conversation, last_messages
from domain.model.errors import (
    DomainError,
    InvalidInput,
    MessageNotFound,
    NothingToAnswer,
    OlderMessagesNeeded,
    TurnInProgress,
)
from domain.model.identifiers import MessageId
from domain.model.message import (
    MessageStatus,
    Role,
    TextPart,
)
from domain.service.tool_answers import answer_tools
from domain.service.turn_lifecycle import answer_again, edit, fail, interrupt, opened, say, welcomed
from tests.support.builders import (
    ID,
    a_conversation,
    after_turns,
    an_opening,
    answered,
    asked,
    pieces_of,
    question_id,
    reply_id,
    texts_of,
    turn_id,
)
from tests.support.clocks import NOON

Change = Callable[[Conversation], Conversation]
LATER = NOON + timedelta(hours=3)
HELLO = (TextPart("Hello!"),)


def test_a_message_opens_a_turn_and_is_kept_as_it_was_said() -> None:
    after = say(a_conversation(), an_opening(at=LATER), question_id(), HELLO)

    assert after.open_turn is not None
    assert (after.open_turn.id, after.open_turn.number) == (turn_id(), 1)
    assert (after.open_turn.reply_id, after.open_turn.opened_at) == (reply_id(), LATER)
    said = after.messages[-1]
    assert (said.role, said.parts, said.number, said.turn) == (Role.USER, HELLO, 1, 1)
    assert (said.status, said.created_at) == (MessageStatus.FINISHED, LATER)


def test_a_turn_restarts_the_stay() -> None:
    after = asked(opened(ID, locale="en", at=NOON), at=LATER)

    assert after.forgotten_at == LATER + STAY


@pytest.mark.parametrize(
    "again",
    [
        lambda c: say(c, an_opening(), question_id(), HELLO),
        lambda c: edit(c, an_opening(), question_id(), HELLO),
        lambda c: answer_again(c, an_opening()),
        lambda c: answer_tools(c, an_opening(), ()),
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_opening_the_same_turn_again_changes_nothing(again: Change, *, ended: bool) -> None:
    known = answered(asked(a_conversation())) if ended else asked(a_conversation())

    assert again(known) is known


@pytest.mark.parametrize(
    "other",
    [
        lambda c: say(c, an_opening(2), question_id(2), HELLO),
        lambda c: edit(c, an_opening(2), question_id(), HELLO),
        lambda c: answer_again(c, an_opening(2)),
        lambda c: answer_tools(c, an_opening(2), ()),
    ],
)
def test_an_open_turn_takes_no_second_one(other: Change) -> None:
    with pytest.raises(TurnInProgress) as busy:
        other(asked(a_conversation()))

    assert busy.value.turn_id == turn_id()


def test_a_known_message_id_replaces_that_message_and_all_after_it() -> None:
    after = say(after_turns(3), an_opening(4), question_id(2), HELLO)

    assert texts_of(after) == ["question 1", "answer 1", "Hello!"]
    assert after.messages[-1].number == 7


def test_the_id_of_a_reply_is_taken() -> None:
    with pytest.raises(InvalidInput) as refused:
        say(after_turns(1), an_opening(2), reply_id(1), HELLO)

    assert refused.value.problem == "message_id_taken"


def failed_at_once(text: str = "Hello!") -> Conversation:
    return fail(asked(a_conversation(), text), turn_id(), [], NOON, "model_busy")


def test_the_same_words_after_a_failure_take_the_place_of_the_unanswered_ones() -> None:
    after = say(failed_at_once(), an_opening(2), question_id(2), HELLO)

    assert texts_of(after) == ["Hello!"]
    assert after.messages[0].id == question_id(2)


def test_other_words_after_a_failure_are_added() -> None:
    after = say(failed_at_once("Hm?"), an_opening(2), question_id(2), HELLO)

    assert texts_of(after) == ["Hm?", "Hello!"]


def test_the_same_words_after_a_failed_reply_are_added() -> None:
    known = fail(asked(a_conversation(), "Hello!"), turn_id(), pieces_of("H"), NOON, "model_failed")

    assert texts_of(say(known, an_opening(2), question_id(2), HELLO)) == ["Hello!", "H", "Hello!"]


def test_the_same_words_after_a_stopped_turn_are_added() -> None:
    known = interrupt(asked(a_conversation(), "Hello!"), turn_id(), [], NOON)

    assert texts_of(say(known, an_opening(2), question_id(2), HELLO)) == ["Hello!", "Hello!"]


@pytest.mark.parametrize(
    ("named", "texts"), [(1, ["Hello!"]), (None, ["question 1", "answer 1", "Hello!"])]
)
def test_an_edit_says_a_message_anew(named: int | None, texts: list[str]) -> None:
    name = None if named is None else question_id(named)

    assert texts_of(edit(after_turns(2), an_opening(3), name, HELLO)) == texts


AGAIN = [
    (None, ["question 1", "answer 1", "question 2"]),
    (reply_id(2), ["question 1", "answer 1", "question 2"]),
    (question_id(2), ["question 1", "answer 1", "question 2"]),
    (reply_id(1), ["question 1"]),
    (question_id(1), ["question 1"]),
]


@pytest.mark.parametrize(("named", "texts"), AGAIN)
def test_another_answer_takes_the_place_of_what_followed(
    named: MessageId | None, texts: list[str]
) -> None:
    after = answer_again(after_turns(2), an_opening(3), named)

    assert texts_of(after) == texts
    assert after.open_turn is not None
    assert after.open_turn.number == 3
    assert texts_of(answered(after, "anew", 3)) == [*texts, "anew"]


WELCOMED = welcomed(a_conversation(), MessageId("w"), "Hi")
TAIL = last_messages(after_turns(3), 1)
REFUSED: list[tuple[Callable[[], Conversation], type[DomainError]]] = [
    (lambda: edit(after_turns(1), an_opening(2), MessageId("x"), HELLO), MessageNotFound),
    (lambda: edit(after_turns(1), an_opening(2), reply_id(1), HELLO), MessageNotFound),
    (lambda: edit(WELCOMED, an_opening(), None, HELLO), NothingToAnswer),
    (lambda: edit(TAIL, an_opening(4), question_id(1), HELLO), OlderMessagesNeeded),
    (lambda: edit(TAIL, an_opening(4), None, HELLO), OlderMessagesNeeded),
    (lambda: answer_again(after_turns(1), an_opening(2), MessageId("x")), MessageNotFound),
    (lambda: answer_again(WELCOMED, an_opening()), NothingToAnswer),
    (lambda: answer_again(WELCOMED, an_opening(), MessageId("w")), NothingToAnswer),
    (lambda: answer_again(TAIL, an_opening(4)), OlderMessagesNeeded),
    (lambda: answer_again(TAIL, an_opening(4), reply_id(3)), OlderMessagesNeeded),
]


@pytest.mark.parametrize(("opening", "error"), REFUSED)
def test_what_is_not_there_is_not_answered(
    opening: Callable[[], Conversation], error: type[DomainError]
) -> None:
    with pytest.raises(error):
        opening()


def test_numbers_are_never_used_again() -> None:
    after = answer_again(after_turns(2), an_opening(3), question_id(1))

    assert after.next_number == 5
    assert answered(after, "anew", 3).messages[-1].number == 5
    assert evolve(after).next_number == 5
