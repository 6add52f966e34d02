"""The page context belongs to the message that it was sent with."""

from domain.model.conversation import Conversation
from domain.model.identifiers import MessageId
from domain.model.message import (
    FinishReason,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    newest_page_context,
)
from domain.model.piece import ToolCallPiece
from domain.service.item_editing import NewItem, branch_at_turn, open_turn_with_items
from domain.service.regeneration import edit_message, edit_text, regenerate
from domain.service.tool_answers import submit_tool_results
from domain.service.turn_lifecycle import add_user_message, fail, finish, interrupt, settle
from tests.support.builders import (
    OTHER_ID,
    a_conversation,
    a_new_turn,
    question_id,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON

PAGE = '{"page":1}'
OTHER = '{"page":2}'
CALL = ToolCallPiece(call_id="a", name="look", arguments="{}")
HELLO = (TextPart("Hello?"),)


def a_question() -> Conversation:
    return with_question(a_conversation(), page_context=PAGE)


def contexts(conversation: Conversation) -> list[str | None]:
    return [message.page_context for message in conversation.messages]


def test_the_reply_has_none_however_the_turn_ends() -> None:
    ends = [
        with_answer(a_question()),
        interrupt(a_question(), turn_id(), (CALL,), NOON),
        settle(a_question(), turn_id(), (CALL,), NOON),
    ]

    assert [contexts(ended) for ended in ends] == [[PAGE, None]] * 3
    assert contexts(settle(a_question(), turn_id(), (), NOON)) == [PAGE]


def test_the_newest_is_that_of_the_newest_user_message_even_if_it_has_none() -> None:
    answered = with_answer(a_question())

    assert newest_page_context(answered.messages) == PAGE
    assert newest_page_context(with_question(answered, number=2).messages) is None
    assert newest_page_context(()) is None


def test_another_reply_sees_that_of_its_message() -> None:
    later = with_answer(
        with_question(with_answer(a_question()), number=2, page_context=OTHER), number=2
    )

    assert contexts(regenerate(later, a_new_turn(3))) == [PAGE, None, OTHER]
    assert contexts(regenerate(later, a_new_turn(3), question_id(1))) == [PAGE]


def test_an_edit_replaces_it() -> None:
    answered = with_answer(a_question())

    for context in (OTHER, None):
        edits = [
            edit_message(answered, a_new_turn(2), None, HELLO, page_context=context),
            edit_text(answered, a_new_turn(2), None, TextPart("Hi?"), page_context=context),
            add_user_message(answered, a_new_turn(2), question_id(), HELLO, page_context=context),
        ]
        assert [contexts(edited) for edited in edits] == [[context]] * 3


def test_a_message_sent_again_after_a_failure_brings_its_own() -> None:
    failed = fail(a_question(), turn_id(), (), NOON, "model_failed")
    again = add_user_message(failed, a_new_turn(2), question_id(2), HELLO, page_context=OTHER)

    assert contexts(again) == [OTHER]
    assert contexts(with_question(failed, number=2)) == [None]


def test_tool_results_continue_the_turn_with_its_own() -> None:
    called = finish(a_question(), turn_id(), (CALL,), NOON, reason=FinishReason.TOOL_CALLS)
    result = ToolResultPart(call_id="a", output="1")
    continued = submit_tool_results(called, a_new_turn(2), (result,))

    assert isinstance(continued.messages[-1].parts[0], ToolCallPart)
    assert newest_page_context(continued.messages) == PAGE


def test_items_of_a_client_have_none() -> None:
    item = NewItem(id=MessageId("item"), role=Role.USER, parts=HELLO)
    opened = open_turn_with_items(with_answer(a_question()), a_new_turn(2), [item])

    assert contexts(opened) == [PAGE, None, None]
    assert newest_page_context(opened.messages) is None


def test_a_branch_has_those_of_its_messages() -> None:
    branch = branch_at_turn(
        with_answer(a_question()), 1, session_id=OTHER_ID, turn_id=turn_id(9), at=NOON
    )

    assert contexts(branch) == [PAGE, None]
