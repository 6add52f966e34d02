"""The options of one reply in the request to the model's server."""

import json
from collections.abc import Set
from typing import Any

import pytest
from attrs import evolve

from adapters.language_model.chat_rejections import named_parameters
from adapters.language_model.chat_request import request_body
from domain.model.message import Part, Role, TextPart, ToolCallPart, ToolResultPart
from domain.model.prompt import ReplyOptions, Tool
from tests.support.builders import a_message
from tests.support.model_client import PROMPT

LOOK = Tool(name="look", parameters='{"type":"object"}', description="Looks.", strict=True)
CALL = ToolCallPart(call_id="c1", name="look", arguments="{}")


def sent(options: ReplyOptions, rejected: Set[str] = frozenset()) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        request_body(evolve(PROMPT, options=options), "small-1", rejected)
    )
    return body


def chat(*parts: Part) -> list[dict[str, Any]]:
    messages = (a_message(1), a_message(2, role=Role.ASSISTANT, parts=parts))
    body = json.loads(request_body(evolve(PROMPT, messages=messages), "small-1"))
    return list(body["messages"][2:])


def test_default_options_add_nothing() -> None:
    assert set(sent(ReplyOptions())) == {
        "model", "messages", "stream", "store", "stream_options", "max_tokens"
    }  # fmt: skip


def test_tools_are_sent_with_all_their_members() -> None:
    function = {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object"},
        "strict": True,
    }
    body = sent(ReplyOptions(tools=(LOOK,), tool_choice="required", parallel_tool_calls=False))

    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)


def test_a_choice_of_one_tool_names_its_function() -> None:
    choice = sent(ReplyOptions(tools=(LOOK,), tool_choice="=look"))["tool_choice"]

    assert choice == {"type": "function", "function": {"name": "look"}}


def test_sampling_options_and_stop_are_sent_unchanged() -> None:
    options: dict[str, Any] = {"presence_penalty": 0.5, "frequency_penalty": -1, "seed": 7}
    body = sent(ReplyOptions(stop=("END", "\n\n"), **options))

    assert {name: body[name] for name in options} == options
    assert body["stop"] == ["END", "\n\n"]


@pytest.mark.parametrize("name", ["stop", "seed", "presence_penalty", "frequency_penalty"])
def test_a_server_that_rejects_a_sampling_option_is_not_asked_again_without_it(name: str) -> None:
    error = json.dumps({"error": {"message": "No.", "param": name}}).encode()

    assert named_parameters(400, error) == frozenset()


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in sent(ReplyOptions(tool_choice="auto", parallel_tool_calls=True))


def test_sampling_parameters_and_response_format_are_sent() -> None:
    body = sent(ReplyOptions(temperature=0, top_p=0.5, response_format='{"type":"json_object"}'))

    assert (body["temperature"], body["top_p"]) == (0, 0.5)
    assert body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("name", ["reasoning_effort", "verbosity", "parallel_tool_calls"])
def test_a_rejected_parameter_is_not_sent(name: str) -> None:
    options = ReplyOptions(tools=(LOOK,), effort="low", verbosity="low", parallel_tool_calls=True)

    assert name in sent(options)
    assert name not in sent(options, {name})


def test_where_max_tokens_is_rejected_the_bound_has_another_name() -> None:
    body = sent(ReplyOptions(), {"max_tokens"})

    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 64


@pytest.mark.parametrize("member", ["effort", "verbosity"])
def test_only_the_words_that_openai_defines_can_be_sent(member: str) -> None:
    with pytest.raises(ValueError, match=member):
        ReplyOptions(**{member: "'store'"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "content"), [('"found"', "found"), ('{"x":1}', '{"x":1}'), ("1", "1")]
)
def test_a_result_that_is_a_json_string_is_sent_without_quotes(output: str, content: str) -> None:
    messages = chat(CALL, ToolResultPart(call_id="c1", output=output))

    assert messages[1]["content"] == content


def test_a_result_without_its_call_is_not_sent() -> None:
    messages = chat(TextPart("Wait."), ToolResultPart(call_id="c1", output="1"))

    assert messages == [{"role": "assistant", "content": "Wait."}]
