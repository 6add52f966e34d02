"""What a caller wishes for one reply reaches the model's server, and no more than that."""

import json
from collections.abc import Set
from typing import Any

import pytest
from attrs import evolve

from adapters.language_model.chat_request import rejected_parameter, request_body
from domain.model.message import Part, Role, TextPart, ToolCallPart, ToolResultPart
from domain.model.prompt import ReplyOptions, Tool
from tests.support.builders import a_message
from tests.support.model_client import PROMPT

LOOK = Tool(name="look", parameters='{"type":"object"}', description="Looks.", strict=True)
CALL = ToolCallPart(call_id="c1", name="look", arguments="{}")


def sent(options: ReplyOptions, without: Set[str] = frozenset()) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        request_body(evolve(PROMPT, options=options), "small-1", without)
    )
    return body


def spoken(*parts: Part) -> list[dict[str, Any]]:
    messages = (a_message(1), a_message(2, role=Role.ASSISTANT, parts=parts))
    asked = json.loads(request_body(evolve(PROMPT, messages=messages), "small-1"))
    return list(asked["messages"][2:])


def test_without_wishes_nothing_is_added() -> None:
    assert set(sent(ReplyOptions())) == {
        "model", "messages", "stream", "store", "stream_options", "max_tokens"
    }  # fmt: skip


def test_tools_are_sent_as_they_were_given() -> None:
    function = {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object"},
        "strict": True,
    }
    body = sent(ReplyOptions(tools=(LOOK,), tool_choice="required", parallel_tool_calls=False))

    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)


def test_one_tool_may_be_chosen() -> None:
    choice = sent(ReplyOptions(tools=(LOOK,), tool_choice="=look"))["tool_choice"]

    assert choice == {"type": "function", "function": {"name": "look"}}


def test_a_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in sent(ReplyOptions(tool_choice="auto", parallel_tool_calls=True))


def test_numbers_and_format_are_sent() -> None:
    body = sent(ReplyOptions(temperature=0, top_p=0.5, response_format='{"type":"json_object"}'))

    assert (body["temperature"], body["top_p"]) == (0, 0.5)
    assert body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("name", ["reasoning_effort", "verbosity", "parallel_tool_calls"])
def test_a_hint_that_a_server_refuses_is_left_out(name: str) -> None:
    options = ReplyOptions(tools=(LOOK,), effort="low", verbosity="low", parallel_tool_calls=True)
    complaint = f'{{"error":"unknown parameter \'{name}\'"}}'.encode()

    assert name in sent(options)
    assert rejected_parameter(400, complaint, frozenset()) == name
    assert name not in sent(options, {name})


def test_a_temperature_that_a_server_refuses_is_not_left_out() -> None:
    assert rejected_parameter(400, b"unknown parameter 'temperature'", frozenset()) is None


@pytest.mark.parametrize(
    ("output", "heard"), [('"found"', "found"), ('{"x":1}', '{"x":1}'), ("1", "1")]
)
def test_a_result_that_is_text_is_sent_without_quotes(output: str, heard: str) -> None:
    said = spoken(CALL, ToolResultPart(call_id="c1", output=output))

    assert said[1]["content"] == heard


def test_a_result_whose_call_was_left_out_is_not_sent() -> None:
    said = spoken(TextPart("Wait."), ToolResultPart(call_id="c1", output="1"))

    assert said == [{"role": "assistant", "content": "Wait."}]
