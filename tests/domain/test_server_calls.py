"""The calls whose tools we run ourselves are matched with their results."""

from domain.model.message import StepMark, TextPart, ToolCallPart, ToolResultPart
from domain.service.server_calls import INTERRUPTED_OUTPUT, server_results, with_all_results


def call(call_id: str, server: str | None = "library") -> ToolCallPart:
    return ToolCallPart(call_id=call_id, name="search", arguments="{}", server=server)


def result(call_id: str, output: str = '"found"') -> ToolResultPart:
    return ToolResultPart(call_id=call_id, output=output)


def test_results_are_found_wherever_they_stand() -> None:
    parts = (call("a"), call("b"), TextPart("Hm."), result("b"), result("a"))

    assert server_results(parts) == {0: 4, 1: 3}


def test_results_of_the_client_are_left_out() -> None:
    assert server_results((call("a", server=None), result("a"))) == {}


def test_a_call_id_that_is_used_again_has_a_result_in_each_step() -> None:
    parts = (call("a"), result("a"), StepMark(), call("a"), result("a"))

    assert server_results(parts) == {0: 1, 3: 4}


def test_a_result_without_a_call_belongs_to_none() -> None:
    assert server_results((result("a"), call("b"))) == {}


def test_a_lost_result_is_added_as_a_failure() -> None:
    parts = (call("a"), call("b"), call("c", server=None), result("a"))
    lost = ToolResultPart(call_id="b", output=INTERRUPTED_OUTPUT, failed=True)

    assert with_all_results(parts) == (*parts, lost)
    assert with_all_results((*parts, lost)) == (*parts, lost)
