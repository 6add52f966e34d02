"""A history that a client sends, compared with a stored conversation."""

from collections.abc import Sequence

import pytest
from attrs import evolve

from domain.model.conversation import Conversation, tail_of
from domain.model.message import (
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.service.history_matching import unanswered_items
from domain.service.item_editing import NewItem, append_items
from domain.service.turn_lifecycle import fail
from tests.support.builders import (
    a_conversation,
    a_message,
    after_turns,
    pieces_of,
    question_id,
    with_question,
)
from tests.support.clocks import NOON

CALL = ToolCallPart(call_id="a", name="look", arguments="{}")
RESULT = ToolResultPart(call_id="a", output='"rain"')


def item(role: Role, *parts: Part) -> NewItem:
    return NewItem(id=question_id(9), role=role, parts=parts)


def user(*texts: str) -> NewItem:
    return item(Role.USER, *map(TextPart, texts))


def assistant(part: Part | str) -> NewItem:
    return item(Role.ASSISTANT, TextPart(part) if isinstance(part, str) else part)


WHOLE = (
    user("question 1"),
    assistant("answer 1"),
    user("question 2"),
    assistant("answer 2"),
)
NEW = user("question 3")


def test_the_items_after_the_stored_ones_are_unanswered() -> None:
    assert unanswered_items(after_turns(2), (*WHOLE, NEW)) == [NEW]


@pytest.mark.parametrize(
    "items",
    [
        (),
        (NEW,),
        WHOLE,
        WHOLE[:3],
        (*WHOLE[:3], NEW),
        (*WHOLE[2:], NEW),
        (*WHOLE[:3], user("answer 2"), NEW),
        (user("question 1", "answer 1"), *WHOLE[2:], NEW),
    ],
)
def test_anything_else_is_another_history(items: Sequence[NewItem]) -> None:
    assert unanswered_items(after_turns(2), items) is None


def test_an_empty_conversation_is_no_history() -> None:
    assert unanswered_items(a_conversation(), (NEW,)) is None


def test_a_conversation_that_is_not_loaded_whole_is_not_compared() -> None:
    assert unanswered_items(tail_of(after_turns(2), 2), (*WHOLE[2:], NEW)) is None


def test_reasoning_is_not_compared() -> None:
    sent = (
        WHOLE[0],
        assistant(UnknownPart('{"type":"reasoning"}')),
        assistant("answer 1"),
        user("question 2"),
        assistant(ReasoningPart("Hm.")),
        WHOLE[3],
        NEW,
    )

    assert unanswered_items(after_turns(2), sent) == [NEW]


def test_the_tools_that_we_run_are_not_compared() -> None:
    call = ToolCallPart(call_id="b", name="search", arguments="{}", server="library")
    result = ToolResultPart(call_id="b", output='"two books"')
    source = SourcePart(id="s1", title="A book")
    ours = item(Role.ASSISTANT, call, result)
    reply = a_message(
        2, role=Role.ASSISTANT, parts=(source, CALL, call, RESULT, result, TextPart("Two."))
    )
    stored = append_items(a_conversation(), [user("Look!")], NOON)
    stored = evolve(stored, messages=(*stored.messages, reply), next_number=3)
    sent = [user("Look!"), assistant(CALL), ours, assistant(RESULT), assistant("Two.")]

    assert unanswered_items(stored, [*sent, NEW]) == [NEW]
    assert unanswered_items(stored, [*sent, ours, NEW]) == [NEW]
    assert unanswered_items(stored, [one for one in [*sent, NEW] if one is not ours]) == [NEW]
    assert unanswered_items(stored, [sent[0], ours, *sent[3:], NEW]) is None


def test_tool_calls_and_their_results_are_compared() -> None:
    items = (user("Look!"), assistant(CALL), assistant(RESULT))
    stored = append_items(a_conversation(), items[:2], NOON)
    other = assistant(ToolCallPart(call_id="a", name="look", arguments='{"at":1}'))

    assert unanswered_items(stored, items) == [*items[2:]]
    assert unanswered_items(append_items(stored, items[2:], NOON), (*items, NEW)) == [NEW]
    assert unanswered_items(stored, (items[0], other, items[2])) is None


def failed(conversation: Conversation, *texts: str) -> Conversation:
    turn = conversation.open_turn
    assert turn is not None
    return fail(conversation, turn.id, pieces_of(*texts), NOON, "model_failed")


def test_the_input_of_a_failed_turn_is_unanswered() -> None:
    asked = with_question(after_turns(2), number=3)
    question = user(asked.messages[-1].text)

    assert unanswered_items(failed(asked), (*WHOLE, question)) == (question,)
    assert unanswered_items(asked, (*WHOLE, question)) is None


def test_a_partial_reply_belongs_to_the_history() -> None:
    conversation = failed(with_question(after_turns(2), number=3), "Half")

    assert unanswered_items(conversation, (*WHOLE, NEW)) is None
