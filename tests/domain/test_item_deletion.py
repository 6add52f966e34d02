"""Deleting items and turns, and branching at a turn."""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.conversation import Conversation, Folding, tail_of
from domain.model.errors import MessageNotFound, OlderMessagesNeeded, TurnInProgress
from domain.model.identifiers import MessageId
from domain.model.message import Role, TextPart, ToolCallPart, ToolResultPart, UnknownPart
from domain.model.turn import TurnStatus
from domain.service.item_editing import branch_at_turn, without_part, without_turn
from domain.service.metadata import with_metadata
from tests.support.builders import (
    ID,
    OTHER_ID,
    PROCESS,
    a_conversation,
    after_turns,
    question_id,
    reply_id,
    texts_of,
    turn_id,
    with_question,
    with_user_message,
)
from tests.support.clocks import NOON

LATER = NOON + timedelta(hours=3)
CALL = ToolCallPart(call_id="a", name="look", arguments="{}")
RESULT = ToolResultPart(call_id="a", output="1")
NOTE = UnknownPart('{"type":"data-note"}')
MESSAGE_ID = MessageId("message-1")


def a_reply_of_three_parts() -> Conversation:
    parts = (TextPart("One."), CALL, RESULT)
    return with_user_message(a_conversation(), role=Role.ASSISTANT, parts=parts)


def parts_without(*indexes: int) -> list[object]:
    conversation = a_reply_of_three_parts()
    for index in indexes:
        conversation = without_part(conversation, MESSAGE_ID, index)
    return [part for message in conversation.messages for part in message.parts]


def branched(conversation: Conversation, number: int) -> Conversation:
    return branch_at_turn(conversation, number, session_id=OTHER_ID, turn_id=turn_id(9), at=LATER)


def test_a_whole_message_is_deleted() -> None:
    conversation = without_part(after_turns(2), question_id(1), None)

    assert texts_of(conversation) == ["answer 1", "question 2", "answer 2"]
    assert without_part(a_reply_of_three_parts(), MESSAGE_ID, None).messages == ()


def test_parts_after_a_deleted_one_keep_their_indexes() -> None:
    assert parts_without(0) == [TextPart(""), CALL, RESULT]
    assert parts_without(2) == [TextPart("One."), CALL]
    assert parts_without(1, 2) == [TextPart("One.")]


def test_a_message_is_deleted_with_its_last_part() -> None:
    assert parts_without(0, 1, 2) == []


@pytest.mark.parametrize("index", [-1, 3])
def test_a_missing_part_is_not_found(index: int) -> None:
    with pytest.raises(MessageNotFound):
        without_part(a_reply_of_three_parts(), MESSAGE_ID, index)


def test_a_part_can_be_deleted_only_once() -> None:
    with pytest.raises(MessageNotFound):
        parts_without(0, 0)


def test_deleting_does_not_extend_the_retention() -> None:
    conversation = after_turns(2)

    assert (
        without_part(conversation, question_id(1), None).retained_since
        == conversation.retained_since
    )
    assert without_turn(conversation, 1).retained_since == conversation.retained_since


def test_older_messages_are_needed_before_a_message_counts_as_missing() -> None:
    tail = tail_of(after_turns(2), 1)

    with pytest.raises(OlderMessagesNeeded):
        without_part(tail, question_id(1), None)
    with pytest.raises(OlderMessagesNeeded):
        without_turn(tail, 2)


def test_a_summary_that_covers_a_deleted_message_is_removed() -> None:
    conversation = evolve(
        after_turns(2), summary="They spoke.", summarized_until=3, working_memory_from=3
    )
    without_covered = without_part(conversation, question_id(1), None)

    assert (without_covered.summary, without_covered.summarized_until) == (None, 1)
    assert without_covered.working_memory_from == 1
    assert without_turn(conversation, 1).summary is None
    assert without_part(conversation, question_id(2), None).summary == "They spoke."


def test_a_claim_to_fold_a_deleted_message_is_dropped() -> None:
    folding = Folding(process=PROCESS, since=NOON, until=3)
    conversation = evolve(after_turns(2), folding=folding)

    assert without_part(conversation, question_id(1), None).folding is None
    assert without_part(conversation, question_id(2), None).folding == folding


def test_nothing_can_be_deleted_while_a_reply_is_being_written() -> None:
    conversation = with_question(after_turns(1), number=2)

    with pytest.raises(TurnInProgress):
        without_part(conversation, question_id(1), None)
    with pytest.raises(TurnInProgress):
        without_turn(conversation, 1)


def test_a_turn_is_deleted_with_its_question_and_its_reply() -> None:
    assert texts_of(without_turn(after_turns(2), 1)) == ["question 2", "answer 2"]


@pytest.mark.parametrize("number", [0, 3])
def test_a_turn_that_never_existed_is_not_found(number: int) -> None:
    with pytest.raises(MessageNotFound):
        without_turn(with_user_message(after_turns(2), turn=0), number)


def test_a_branch_holds_all_messages_up_to_its_turn_under_a_new_id() -> None:
    conversation = evolve(after_turns(3), metadata={"topic": "tea"})
    branch = branched(conversation, 2)

    assert texts_of(branch) == ["question 1", "answer 1", "question 2", "answer 2"]
    assert (branch.id, conversation.id) == (OTHER_ID, ID)
    assert branch.next_number == 5
    assert branch.turn is not None
    assert (branch.turn.number, branch.turn.status) == (2, TurnStatus.FINISHED)
    assert branch.metadata == {}
    assert branch.retained_since == LATER


def test_a_branch_omits_what_was_added_after_the_reply() -> None:
    conversation = after_turns(1)
    *before, reply = conversation.messages
    waiting = evolve(reply, parts=(CALL, RESULT, NOTE))
    branch = branched(evolve(conversation, messages=(*before, waiting)), 1)

    assert branch.messages[-1].parts == (CALL,)
    assert branch.messages[-1].id == reply_id(1)


@pytest.mark.parametrize("number", [0, 4])
def test_no_branch_starts_at_a_turn_that_never_existed(number: int) -> None:
    with pytest.raises(MessageNotFound):
        branched(with_user_message(after_turns(3), turn=0), number)


def test_no_branch_starts_at_an_open_turn() -> None:
    conversation = with_question(after_turns(1), number=2)

    assert texts_of(branched(conversation, 1)) == ["question 1", "answer 1"]
    with pytest.raises(TurnInProgress):
        branched(conversation, 2)


def test_changing_the_metadata_does_not_restart_the_retention() -> None:
    conversation = with_metadata(after_turns(1), {"topic": "tea"})

    assert conversation.metadata == {"topic": "tea"}
    assert conversation.retained_since == after_turns(1).retained_since
