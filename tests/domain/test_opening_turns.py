"""How turns are opened."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.conversation import (
    RETENTION,
    Conversation,
    new_conversation,
    tail_of,
    with_message,
    with_welcome,
)
from domain.model.errors import (
    ConversationFull,
    ConversationMovedOn,
    DomainError,
    InvalidInput,
    MessageNotFound,
    NothingToAnswer,
    OlderMessagesNeeded,
    TurnInProgress,
)
from domain.model.identifiers import MessageId
from domain.model.limits import MAX_CONVERSATION_MESSAGES
from domain.model.message import ImagePart, MessageStatus, Part, Role, TextPart, UnknownPart
from domain.service.client_view import require_seen
from domain.service.regeneration import edit_message, edit_text, regenerate
from domain.service.tool_answers import submit_tool_results
from domain.service.turn_lifecycle import (
    add_user_message,
    fail,
    interrupt,
)
from tests.support.builders import (
    ID,
    a_conversation,
    a_message,
    a_new_turn,
    after_turns,
    pieces_of,
    question_id,
    reply_id,
    texts_of,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON

Change = Callable[[Conversation], Conversation]
LATER = NOON + timedelta(hours=3)
HELLO = (TextPart("Hello!"),)


def test_a_message_opens_a_turn_and_is_stored_as_written() -> None:
    after = add_user_message(a_conversation(), a_new_turn(at=LATER), question_id(), HELLO)

    assert after.open_turn is not None
    assert (after.open_turn.id, after.open_turn.number) == (turn_id(), 1)
    assert (after.open_turn.reply_id, after.open_turn.opened_at) == (reply_id(), LATER)
    message = after.messages[-1]
    assert (message.role, message.parts, message.number, message.turn) == (Role.USER, HELLO, 1, 1)
    assert (message.status, message.created_at) == (MessageStatus.FINISHED, LATER)


def test_a_turn_restarts_the_retention() -> None:
    after = with_question(new_conversation(ID, locale="en", at=NOON), at=LATER)

    assert after.expires_at == LATER + RETENTION


@pytest.mark.parametrize(
    "change",
    [
        lambda c: add_user_message(c, a_new_turn(), question_id(), HELLO),
        lambda c: edit_message(c, a_new_turn(), question_id(), HELLO),
        lambda c: regenerate(c, a_new_turn()),
        lambda c: submit_tool_results(c, a_new_turn(), ()),
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_opening_the_same_turn_again_changes_nothing(change: Change, *, ended: bool) -> None:
    conversation = (
        with_answer(with_question(a_conversation())) if ended else with_question(a_conversation())
    )

    assert change(conversation) is conversation


@pytest.mark.parametrize(
    "change",
    [
        lambda c: add_user_message(c, a_new_turn(2), question_id(2), HELLO),
        lambda c: edit_message(c, a_new_turn(2), question_id(), HELLO),
        lambda c: regenerate(c, a_new_turn(2)),
        lambda c: submit_tool_results(c, a_new_turn(2), ()),
    ],
)
def test_no_second_turn_is_opened_while_one_is_open(change: Change) -> None:
    with pytest.raises(TurnInProgress) as busy:
        change(with_question(a_conversation()))

    assert busy.value.turn_id == turn_id()


def test_the_id_of_an_earlier_message_replaces_it_and_all_after_it() -> None:
    after = add_user_message(after_turns(3), a_new_turn(4), question_id(2), HELLO)

    assert texts_of(after) == ["question 1", "answer 1", "Hello!"]
    assert after.messages[-1].number == 7


def test_the_id_of_a_reply_is_taken() -> None:
    with pytest.raises(InvalidInput) as refused:
        add_user_message(after_turns(1), a_new_turn(2), reply_id(1), HELLO)

    assert refused.value.problem == "message_id_taken"


def failed_at_once(text: str = "Hello!") -> Conversation:
    return fail(with_question(a_conversation(), text), turn_id(), [], NOON, "model_busy")


def test_the_same_message_after_a_failure_replaces_the_unanswered_one() -> None:
    after = add_user_message(failed_at_once(), a_new_turn(2), question_id(2), HELLO)

    assert texts_of(after) == ["Hello!"]
    assert after.messages[0].id == question_id(2)


def test_another_message_after_a_failure_is_added() -> None:
    after = add_user_message(failed_at_once("Hm?"), a_new_turn(2), question_id(2), HELLO)

    assert texts_of(after) == ["Hm?", "Hello!"]


def test_the_same_message_after_a_failed_reply_is_added() -> None:
    conversation = fail(
        with_question(a_conversation(), "Hello!"), turn_id(), pieces_of("H"), NOON, "model_failed"
    )

    assert texts_of(add_user_message(conversation, a_new_turn(2), question_id(2), HELLO)) == [
        "Hello!",
        "H",
        "Hello!",
    ]


def test_the_same_message_after_a_stopped_turn_is_added() -> None:
    conversation = interrupt(with_question(a_conversation(), "Hello!"), turn_id(), [], NOON)

    assert texts_of(add_user_message(conversation, a_new_turn(2), question_id(2), HELLO)) == [
        "Hello!",
        "Hello!",
    ]


@pytest.mark.parametrize(
    ("named", "texts"), [(1, ["Hello!"]), (None, ["question 1", "answer 1", "Hello!"])]
)
def test_an_edit_replaces_a_message_and_all_after_it(named: int | None, texts: list[str]) -> None:
    name = None if named is None else question_id(named)

    assert texts_of(edit_message(after_turns(2), a_new_turn(3), name, HELLO)) == texts


IMAGE = ImagePart(media_type="image/png", data=b"")
OTHER = UnknownPart('{"type":"data-metadata","data":1}')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([TextPart("One"), IMAGE, OTHER], [HELLO[0], IMAGE, OTHER]),
        ([IMAGE, TextPart("One"), IMAGE, TextPart("Two")], [IMAGE, HELLO[0], IMAGE]),
        ([IMAGE], [HELLO[0], IMAGE]),
    ],
)
def test_an_edit_of_the_text_keeps_the_other_parts_in_their_places(
    before: list[Part], after: list[Part]
) -> None:
    sent = add_user_message(a_conversation(), a_new_turn(1), question_id(1), before)
    edited = edit_text(interrupt(sent, turn_id(), [], NOON), a_new_turn(2), None, HELLO[0])

    assert [*edited.messages[-1].parts] == after


REGENERATED = [
    (None, ["question 1", "answer 1", "question 2"]),
    (reply_id(2), ["question 1", "answer 1", "question 2"]),
    (question_id(2), ["question 1", "answer 1", "question 2"]),
    (reply_id(1), ["question 1"]),
    (question_id(1), ["question 1"]),
]


@pytest.mark.parametrize(("named", "texts"), REGENERATED)
def test_a_regenerated_reply_replaces_everything_after_its_question(
    named: MessageId | None, texts: list[str]
) -> None:
    after = regenerate(after_turns(2), a_new_turn(3), named)

    assert texts_of(after) == texts
    assert after.open_turn is not None
    assert after.open_turn.number == 3
    assert texts_of(with_answer(after, "again", 3)) == [*texts, "again"]


@pytest.mark.parametrize("named", [None, reply_id(1), question_id(1)])
def test_a_regeneration_keeps_instructions_between_the_question_and_its_reply(
    named: MessageId | None,
) -> None:
    asked = with_question(a_conversation(), "question 1")
    rule = a_message(2, "Rhyme.", role=Role.DEVELOPER)
    after = regenerate(with_answer(with_message(asked, rule)), a_new_turn(2), named)

    assert texts_of(after) == ["question 1", "Rhyme."]


def test_a_regeneration_cannot_name_an_instruction() -> None:
    rule = a_message(1, "Rhyme.", role=Role.DEVELOPER)
    conversation = with_answer(with_question(with_message(a_conversation(), rule)))

    with pytest.raises(MessageNotFound):
        regenerate(conversation, a_new_turn(2), rule.id)


WELCOMED = with_welcome(a_conversation(), MessageId("w"), "Hi")


def of_length(messages: int) -> Conversation:
    return evolve(after_turns(2), earlier=messages - 4, working_memory_from=2)


def asking_anew(conversation: Conversation, number: int) -> Conversation:
    parts = (TextPart("And?"),)
    return add_user_message(
        conversation, a_new_turn(number), question_id(number), parts, is_new=True
    )


def test_a_user_message_is_refused_if_the_conversation_is_full() -> None:
    last = asking_anew(of_length(MAX_CONVERSATION_MESSAGES - 1), 3)
    full = with_answer(last, number=3)

    assert last.open_turn is not None
    assert full.earlier + len(full.messages) == MAX_CONVERSATION_MESSAGES + 1
    with pytest.raises(ConversationFull):
        asking_anew(full, 4)


def test_no_open_turn_is_in_the_way_of_a_message_that_is_refused_anyway() -> None:
    open_and_full = asking_anew(of_length(MAX_CONVERSATION_MESSAGES - 1), 3)

    with pytest.raises(ConversationFull):
        asking_anew(open_and_full, 4)


def test_a_full_conversation_can_be_edited_and_its_reply_regenerated() -> None:
    full = of_length(MAX_CONVERSATION_MESSAGES + 1)

    assert regenerate(full, a_new_turn(3)).open_turn is not None
    assert edit_message(full, a_new_turn(3), None, (TextPart("!"),)).open_turn is not None


TAIL = tail_of(after_turns(3), 1)
REFUSED: list[tuple[Callable[[], Conversation], type[DomainError]]] = [
    (lambda: edit_message(after_turns(1), a_new_turn(2), MessageId("x"), HELLO), MessageNotFound),
    (lambda: edit_message(after_turns(1), a_new_turn(2), reply_id(1), HELLO), MessageNotFound),
    (lambda: edit_message(WELCOMED, a_new_turn(), None, HELLO), NothingToAnswer),
    (lambda: edit_message(TAIL, a_new_turn(4), question_id(1), HELLO), OlderMessagesNeeded),
    (lambda: edit_message(TAIL, a_new_turn(4), None, HELLO), OlderMessagesNeeded),
    (lambda: regenerate(after_turns(1), a_new_turn(2), MessageId("x")), MessageNotFound),
    (lambda: regenerate(WELCOMED, a_new_turn()), NothingToAnswer),
    (lambda: regenerate(WELCOMED, a_new_turn(), MessageId("w")), NothingToAnswer),
    (lambda: regenerate(TAIL, a_new_turn(4)), OlderMessagesNeeded),
    (lambda: regenerate(TAIL, a_new_turn(4), reply_id(3)), OlderMessagesNeeded),
]


@pytest.mark.parametrize(("change", "error"), REFUSED)
def test_a_missing_message_is_neither_edited_nor_answered(
    change: Callable[[], Conversation], error: type[DomainError]
) -> None:
    with pytest.raises(error):
        change()


def test_numbers_are_never_reused() -> None:
    after = regenerate(after_turns(2), a_new_turn(3), question_id(1))

    assert after.next_number == 5
    assert with_answer(after, "again", 3).messages[-1].number == 5


@pytest.mark.parametrize(
    ("newest_seen", "has_moved_on"),
    [
        (None, False),
        (question_id(1), True),
        (reply_id(1), True),
        (question_id(2), False),
        (reply_id(2), False),
        (MessageId("never-arrived"), False),
    ],
)
def test_a_conversation_has_moved_on_if_the_user_has_sent_later_messages(
    newest_seen: MessageId | None, *, has_moved_on: bool
) -> None:
    with pytest.raises(ConversationMovedOn) if has_moved_on else nullcontext():
        require_seen(after_turns(2), newest_seen)


def test_whether_it_has_moved_on_since_an_old_message_needs_all_messages() -> None:
    with pytest.raises(OlderMessagesNeeded):
        require_seen(tail_of(after_turns(3), 2), question_id(1))
