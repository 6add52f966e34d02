"""Messages: how their size is counted, and which tool calls wait for a result."""

import pytest
from attrs import evolve

from domain.model.message import (
    FilePart,
    Part,
    ReasoningPart,
    Role,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    exchanges_of,
    text_bytes,
)
from tests.support.builders import a_conversation, a_message, with_user_message

CALL = ToolCallPart(call_id="a", name="look", arguments="{}")


@pytest.mark.parametrize(
    ("part", "size"),
    [
        (TextPart("ä🙂"), 6),
        (ReasoningPart("\ud800"), 3),
        (CALL, 7),
        (evolve(CALL, server="lib"), 10),
        (ToolResultPart(call_id="a", output="12"), 3),
        (FilePart(url="u", media_type="mm", name="nnn"), 6),
        (FilePart(url="u", media_type="mm"), 3),
        (StepMark(), 0),
        (UnknownPart("[]"), 2),
    ],
)
def test_the_size_of_a_part_is_all_its_text_in_utf_8(part: Part, size: int) -> None:
    assert text_bytes(part) == size


def test_a_blank_line_separates_the_texts_of_two_steps() -> None:
    first = (TextPart("I "), TextPart("look."), StepMark(), StepMark(), TextPart(""))
    message = a_message(1, parts=(StepMark(), *first, TextPart("Found."), TextPart(" Good.")))

    assert message.text == "I look.\n\nFound. Good."


def test_the_size_of_a_message_is_the_sum_of_its_parts() -> None:
    assert a_message(parts=(TextPart("ä"), CALL)).counted_bytes == 512 + 2 + 7 + 2 * 256


def test_the_size_of_a_conversation_is_the_sum_of_all_its_text() -> None:
    conversation = a_conversation(summary="ä", metadata={"topic": "tea"}, messages=())
    with_message = with_user_message(conversation, "Hello?", page_context='"ä"')

    assert with_message.counted_bytes == 2 + 5 + 3 + (512 + 6 + 4 + 256)


def test_a_tool_call_is_open_until_it_has_a_result() -> None:
    other = ToolCallPart(call_id="b", name="look", arguments="{}")
    message = a_message(parts=(CALL, other, ToolResultPart(call_id="a", output="1")))

    assert message.open_tool_calls == (other,)


@pytest.mark.parametrize(
    ("roles", "lengths"),
    [("", []), ("a", [1]), ("u", [1]), ("aua", [3]), ("uaaua", [3, 2]), ("auu", [2, 1])],
)
def test_an_exchange_is_a_user_message_with_what_follows(roles: str, lengths: list[int]) -> None:
    named = {"a": Role.ASSISTANT, "u": Role.USER}
    messages = [a_message(number, role=named[role]) for number, role in enumerate(roles, 1)]
    exchanges = exchanges_of(messages)

    assert [len(exchange) for exchange in exchanges] == lengths
    assert [message for exchange in exchanges for message in exchange] == messages


def test_only_a_call_that_the_client_runs_waits_for_it() -> None:
    ours = evolve(CALL, server="lib")

    assert a_message(parts=(CALL,)).open_tool_calls == (CALL,)
    assert a_message(parts=(ours,)).open_tool_calls == ()
