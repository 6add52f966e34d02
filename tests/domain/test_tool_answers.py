"""Which tool results are new, and the turn that they open."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.limits import MAX_TOOL_RESULT_BYTES
from domain.model.message import (
    FinishReason,
    MessageStatus,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import Piece, TextPiece, ToolCallPiece
from domain.service.tool_answers import (
    is_continuing_with,
    new_results,
    submit_tool_results,
    tool_result,
)
from domain.service.turn_lifecycle import fail, finish, interrupt
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    after_turns,
    pieces_of,
    turn_id,
    with_question,
)
from tests.support.clocks import NOON

LATER = NOON + timedelta(hours=3)
CALLS: list[Piece] = [
    TextPiece("Wait."),
    ToolCallPiece(call_id="a", name="look", arguments="{}"),
    ToolCallPiece(call_id="b", name="look", arguments="{}"),
]


def waiting_for_tools() -> Conversation:
    return finish(
        with_question(a_conversation()), turn_id(), CALLS, NOON, reason=FinishReason.TOOL_CALLS
    )


def results(*names: str) -> list[ToolResultPart]:
    return [ToolResultPart(call_id=name, output="1") for name in names]


def test_tool_results_continue_the_same_message() -> None:
    waiting = waiting_for_tools()
    continued = submit_tool_results(waiting, a_new_turn(2), results("a", "b"))
    after = finish(continued, turn_id(2), pieces_of("Found."), LATER, reason=FinishReason.STOP)

    assert len(after.messages) == 2
    reply = after.messages[-1]
    assert (reply.id, reply.number) == (waiting.messages[-1].id, waiting.messages[-1].number)
    assert reply.parts[-4:] == (*results("a", "b"), StepMark(), TextPart("Found."))
    assert reply.finish_reason is FinishReason.STOP
    assert [type(part) for part in reply.parts[:3]] == [TextPart, ToolCallPart, ToolCallPart]


def test_an_interrupted_continuation_does_not_keep_the_tool_calls_finish_reason() -> None:
    continued = submit_tool_results(waiting_for_tools(), a_new_turn(2), results("a", "b"))
    after = interrupt(continued, turn_id(2), pieces_of("Fou"), LATER)

    reply = after.messages[-1]
    assert (reply.status, reply.finish_reason) == (MessageStatus.INTERRUPTED, None)


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b", "c"), ("x",)])
def test_results_without_an_open_call_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        submit_tool_results(waiting_for_tools(), a_new_turn(2), results(*names))

    assert refused.value.problem == "tool_results_unexpected"


def failed_continuation(*texts: str) -> Conversation:
    continued = submit_tool_results(waiting_for_tools(), a_new_turn(2), results("a", "b"))
    return fail(continued, turn_id(2), pieces_of(*texts), LATER, "model_unavailable")


@pytest.mark.parametrize("texts", [(), ("Fou",)])
@pytest.mark.parametrize("names", [("a", "b"), ("b",)])
def test_the_same_results_continue_again_after_a_failure(
    texts: tuple[str, ...], names: tuple[str, ...]
) -> None:
    again = submit_tool_results(failed_continuation(*texts), a_new_turn(3), results(*names))
    after = finish(again, turn_id(3), pieces_of("Found."), LATER, reason=FinishReason.STOP)

    assert again.messages[-1].status is MessageStatus.FINISHED
    assert after.messages[-1].id == failed_continuation().messages[-1].id
    assert after.messages[-1].parts[3:] == (*results("a", "b"), StepMark(), TextPart("Found."))


@pytest.mark.parametrize("names", [(), ("x",), ("a", "x")])
def test_other_results_are_refused_after_a_failure(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        submit_tool_results(failed_continuation(), a_new_turn(3), results(*names))


@pytest.mark.parametrize("ends", [finish, interrupt])
def test_a_continuation_that_did_not_fail_is_not_repeated(
    ends: Callable[..., Conversation],
) -> None:
    continued = submit_tool_results(waiting_for_tools(), a_new_turn(2), results("a", "b"))
    reason = {"reason": FinishReason.STOP} if ends is finish else {}
    after = ends(continued, turn_id(2), pieces_of("Found."), LATER, **reason)

    with pytest.raises(InvalidInput):
        submit_tool_results(after, a_new_turn(3), results("a", "b"))


@pytest.mark.parametrize("conversation", [a_conversation(), after_turns(1)])
def test_results_that_no_message_waits_for_are_refused(conversation: Conversation) -> None:
    with pytest.raises(InvalidInput):
        submit_tool_results(conversation, a_new_turn(2), results("a"))


def test_all_results_are_new_to_a_message_that_waits_for_them() -> None:
    assert new_results(waiting_for_tools(), results("a", "b")) == tuple(results("a", "b"))


def test_a_call_gets_one_result_even_if_it_is_sent_twice() -> None:
    continued = submit_tool_results(waiting_for_tools(), a_new_turn(2), results("a", "b", "a"))

    stored = [part for part in continued.messages[-1].parts if isinstance(part, ToolResultPart)]
    assert stored == results("a", "b")


def test_stored_results_are_not_new() -> None:
    continued = submit_tool_results(waiting_for_tools(), a_new_turn(2), results("a", "b"))

    assert new_results(continued, results("a", "b", "c")) == tuple(results("c"))


def test_only_the_turn_that_was_opened_with_the_results_is_continuing_with_them() -> None:
    waiting = waiting_for_tools()
    continued = submit_tool_results(waiting, a_new_turn(2), results("a", "b"))

    assert is_continuing_with(continued, results("a", "b"))
    assert not is_continuing_with(continued, results("a", "c"))
    assert not is_continuing_with(continued, [])
    assert not is_continuing_with(waiting, results("a", "b"))
    assert not is_continuing_with(a_conversation(), results("a"))


def test_a_result_has_a_size_limit() -> None:
    longest = "a" * MAX_TOOL_RESULT_BYTES

    assert tool_result("a", longest, failed=True) == ToolResultPart(
        call_id="a", output=longest, failed=True
    )
    with pytest.raises(InvalidInput) as refused:
        tool_result("a", longest + "a")
    assert refused.value.problem == "tool_result_too_long"
