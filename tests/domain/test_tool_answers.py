"""Which results of tools are news."""

import pytest

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_TOOL_RESULT_BYTES
from domain.model.message import ToolResultPart
from domain.service.tool_answers import answer_tools, is_going_on_with, still_wanted, tool_result
from tests.builders import a_conversation, an_opening
from tests.domain.test_tool_results import results, waiting_for_tools


def test_all_results_are_wanted_by_a_message_that_waits() -> None:
    assert still_wanted(waiting_for_tools(), results("a", "b")) == tuple(results("a", "b"))


def test_results_that_are_there_already_are_no_news() -> None:
    going_on = answer_tools(waiting_for_tools(), an_opening(2), results("a", "b"))

    assert still_wanted(going_on, results("a", "b", "c")) == tuple(results("c"))


def test_the_same_results_belong_to_the_turn_that_goes_on_with_them() -> None:
    waiting = waiting_for_tools()
    going_on = answer_tools(waiting, an_opening(2), results("a", "b"))

    assert is_going_on_with(going_on, results("a", "b"))
    assert not is_going_on_with(going_on, results("a", "c"))
    assert not is_going_on_with(going_on, [])
    assert not is_going_on_with(waiting, results("a", "b"))
    assert not is_going_on_with(a_conversation(), results("a"))


def test_a_result_has_a_bound() -> None:
    longest = "a" * MAX_TOOL_RESULT_BYTES

    assert tool_result("a", longest, failed=True) == ToolResultPart(
        call_id="a", output=longest, failed=True
    )
    with pytest.raises(InvalidInput) as refused:
        tool_result("a", longest + "a")
    assert refused.value.problem == "tool_result_too_long"
