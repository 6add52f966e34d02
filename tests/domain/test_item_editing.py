"""Adding items, outside a turn and as the input of one."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.conversation import RETENTION, Conversation
from domain.model.errors import (
    ConversationFull,
    InvalidInput,
    NothingToAnswer,
    TurnInProgress,
)
from domain.model.identifiers import MessageId
from domain.model.limits import MAX_CONVERSATION_MESSAGES
from domain.model.message import (
    Part,
    Role,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.service.item_editing import NewItem, append_items, open_turn_with_items
from domain.service.turn_lifecycle import fail
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    after_turns,
    turn_id,
    with_question,
)
from tests.support.clocks import NOON

LATER = NOON + timedelta(hours=3)
CALL = ToolCallPart(call_id="a", name="look", arguments="{}")
OTHER_CALL = ToolCallPart(call_id="b", name="look", arguments="{}")
RESULT = ToolResultPart(call_id="a", output='"found"')
CHANGED_RESULT = ToolResultPart(call_id="a", output='"else"')
OTHER_RESULT = ToolResultPart(call_id="b", output='"lost"')
NOTE = UnknownPart('{"type":"data-note"}')


def items(*parts: Part | str) -> Sequence[NewItem]:
    """Items to add: a user message for each text, an assistant item for each part."""
    return [_item(number, part) for number, part in enumerate(parts)]


def _item(number: int, part: Part | str) -> NewItem:
    role = Role.USER if isinstance(part, str) else Role.ASSISTANT
    content = TextPart(part) if isinstance(part, str) else part
    return NewItem(id=MessageId(f"item-{number}"), role=role, parts=(content,))


def parts_of(conversation: Conversation) -> list[tuple[Part, ...]]:
    return [message.parts for message in conversation.messages]


def test_added_items_keep_their_order() -> None:
    conversation = append_items(a_conversation(), items("Hello?", TextPart("Hi!"), "And?"), LATER)

    assert parts_of(conversation) == [
        (TextPart("Hello?"),),
        (TextPart("Hi!"),),
        (TextPart("And?"),),
    ]
    assert [message.number for message in conversation.messages] == [1, 2, 3]
    assert [message.turn for message in conversation.messages] == [0, 0, 0]


def test_adding_restarts_the_full_retention() -> None:
    conversation = append_items(a_conversation(), items("Hello?"), LATER)

    assert conversation.expires_at == LATER + RETENTION


def test_calls_and_their_results_share_a_message_in_their_order() -> None:
    conversation = append_items(
        a_conversation(), items("?", CALL, OTHER_CALL, RESULT, OTHER_RESULT), LATER
    )

    assert parts_of(conversation)[1:] == [(CALL, OTHER_CALL, RESULT, OTHER_RESULT)]


def test_a_call_after_results_is_another_step_of_the_same_message() -> None:
    conversation = append_items(
        a_conversation(), items("?", CALL, RESULT, OTHER_CALL, OTHER_RESULT), LATER
    )

    assert parts_of(conversation)[1:] == [(CALL, RESULT, StepMark(), OTHER_CALL, OTHER_RESULT)]


def test_two_texts_in_a_row_are_separate_steps() -> None:
    conversation = append_items(
        a_conversation(), items("?", TextPart("One."), TextPart("Two.")), LATER
    )

    assert parts_of(conversation)[1:] == [(TextPart("One."), StepMark(), TextPart("Two."))]


def test_text_before_a_call_belongs_to_its_step() -> None:
    conversation = append_items(a_conversation(), items("?", TextPart("Wait."), CALL), LATER)

    assert parts_of(conversation)[1:] == [(TextPart("Wait."), CALL)]


def test_added_text_does_not_join_a_reply_of_the_model() -> None:
    conversation = append_items(after_turns(1), items(TextPart("Added.")), LATER)

    assert parts_of(conversation)[1:] == [(TextPart("answer 1"),), (TextPart("Added."),)]


@pytest.mark.parametrize(
    "before", [("?",), ("?", OTHER_CALL), ("?", CALL, CHANGED_RESULT), ("?", CALL, "!")]
)
def test_a_result_without_an_open_call_is_refused(before: Sequence[Part | str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        append_items(a_conversation(), items(*before, RESULT), LATER)

    assert refused.value.problem == "tool_call_not_found"


def test_nothing_is_added_while_a_reply_is_being_written() -> None:
    with pytest.raises(TurnInProgress):
        append_items(with_question(a_conversation()), items("And?"), LATER)


def test_items_open_a_turn() -> None:
    conversation = open_turn_with_items(
        after_turns(1), a_new_turn(2, at=LATER), items("Hello?", "And?")
    )

    assert conversation.open_turn is not None
    assert (conversation.open_turn.id, conversation.open_turn.number) == (turn_id(2), 2)
    assert [message.turn for message in conversation.messages[-2:]] == [2, 2]
    assert conversation.expires_at == LATER + RETENTION


def test_the_same_turn_is_opened_once() -> None:
    conversation = open_turn_with_items(a_conversation(), a_new_turn(), items("Hello?"))

    assert open_turn_with_items(conversation, a_new_turn(), items("Hello?")) is conversation


def test_no_turn_is_opened_while_another_is_open() -> None:
    with pytest.raises(TurnInProgress):
        open_turn_with_items(with_question(a_conversation()), a_new_turn(2), items("And?"))


def test_results_alone_open_a_turn_whose_reply_is_a_new_message() -> None:
    waiting = append_items(a_conversation(), items("?", CALL), NOON)
    conversation = open_turn_with_items(waiting, a_new_turn(), items(RESULT))

    assert conversation.open_turn is not None
    assert parts_of(conversation)[-1] == (CALL, RESULT)
    assert conversation.open_turn.reply_id != conversation.messages[-1].id


def test_only_user_messages_belong_to_the_turn() -> None:
    conversation = open_turn_with_items(a_conversation(), a_new_turn(), items(CALL, RESULT, "And?"))

    assert [message.turn for message in conversation.messages] == [0, 1]


def test_a_note_is_stored_with_the_last_message() -> None:
    conversation = open_turn_with_items(a_conversation(), a_new_turn(), items("?"), NOTE)

    assert parts_of(conversation) == [(TextPart("?"), NOTE)]


def test_without_any_message_there_is_nothing_to_answer() -> None:
    with pytest.raises(NothingToAnswer):
        open_turn_with_items(a_conversation(), a_new_turn(), ())


def failed(conversation: Conversation) -> Conversation:
    return fail(conversation, turn_id(), (), NOON, "model_busy")


def test_the_same_items_after_a_failure_replace_the_unanswered_ones() -> None:
    conversation = failed(
        open_turn_with_items(a_conversation(), a_new_turn(), items("One", "Two"), NOTE)
    )
    again = open_turn_with_items(conversation, a_new_turn(2), items("One", "Two"), NOTE)
    other = open_turn_with_items(conversation, a_new_turn(2), items("Three"))

    assert parts_of(again) == [(TextPart("One"),), (TextPart("Two"), NOTE)]
    assert [message.turn for message in again.messages] == [2, 2]
    assert len(other.messages) == 3


def test_the_same_results_after_a_failure_are_not_added_again() -> None:
    waiting = append_items(a_conversation(), items("?", CALL), NOON)
    conversation = failed(open_turn_with_items(waiting, a_new_turn(), items(RESULT)))
    again = open_turn_with_items(conversation, a_new_turn(2), items(RESULT))

    assert parts_of(again)[-1] == (CALL, RESULT)
    with pytest.raises(InvalidInput):
        open_turn_with_items(conversation, a_new_turn(2), items(CHANGED_RESULT))


def test_a_later_call_may_have_the_id_of_an_earlier_one() -> None:
    added = items("?", CALL, RESULT, CALL, CHANGED_RESULT)
    conversation = append_items(a_conversation(), added, LATER)

    assert parts_of(conversation)[1] == (CALL, RESULT, StepMark(), CALL, CHANGED_RESULT)


def test_items_that_would_be_messages_too_many_are_refused() -> None:
    almost_full = evolve(after_turns(1), earlier=MAX_CONVERSATION_MESSAGES - 3)

    assert append_items(almost_full, items("One"), LATER).next_number == 4
    with pytest.raises(ConversationFull):
        append_items(almost_full, items("One", "Two"), LATER)


INSTRUCTION = NewItem(id=MessageId("rule"), role=Role.SYSTEM, parts=(TextPart("Rhyme."),))


def test_instructions_become_messages_at_their_place() -> None:
    added = [*items("Hello?"), INSTRUCTION, *items(TextPart("Hi!"))]
    conversation = append_items(a_conversation(), added, LATER)

    assert [message.role for message in conversation.messages] == [
        Role.USER, Role.SYSTEM, Role.ASSISTANT
    ]  # fmt: skip
    assert conversation.instructions_from == 2


def test_instructions_among_the_input_belong_to_the_turn() -> None:
    opened = open_turn_with_items(a_conversation(), a_new_turn(), [*items("Hello?"), INSTRUCTION])

    assert [message.turn for message in opened.messages] == [1, 1]


@pytest.mark.parametrize("added", [[], [INSTRUCTION]])
@pytest.mark.parametrize("before", [a_conversation(), after_turns(1)])
def test_instructions_alone_are_nothing_to_answer(
    before: Conversation, added: Sequence[NewItem]
) -> None:
    with pytest.raises(NothingToAnswer):
        open_turn_with_items(before, a_new_turn(2), added)


def test_an_added_message_can_be_answered_without_input() -> None:
    waiting = append_items(after_turns(1), items("And now?"), LATER)

    assert open_turn_with_items(waiting, a_new_turn(2), [INSTRUCTION]).open_turn is not None


def test_a_conversation_without_instructions_says_so() -> None:
    assert append_items(a_conversation(), items("Hello?"), LATER).instructions_from is None
