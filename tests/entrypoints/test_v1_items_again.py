"""Everything that ``/v1`` has listed can be sent again."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.system.identifier_source import RandomIdentifiers
from domain.model.identifiers import MessageId
from domain.model.limits import MAX_REPLY_BYTES, MessageLimit
from domain.model.message import (
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.service.item_editing import append_items, without_part
from domain.service.user_images import ImagePolicy
from entrypoints.http.openai.bodies import parse_response_body
from entrypoints.http.openai.input_items import input_items
from entrypoints.http.openai.items import items_of
from entrypoints.usecases.create_response import with_ids
from tests.support.builders import a_conversation, a_message, an_image
from tests.support.clocks import NOON

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    texts | st.integers(-9, 9) | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
outputs = st.one_of(
    json_values,
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["input_text", "output_text", "image"]), "text": texts}
        ),
        max_size=3,
    ),
)
words = st.one_of(
    st.builds(TextPart, texts),
    st.builds(ReasoningPart, texts),
    st.just(StepMark()),
    texts.map(
        lambda text: UnknownPart(
            json.dumps({"type": "reasoning", "id": "rs_sent", "summary": [], "new": text})
        )
    ),
    st.just(UnknownPart('{"type":"data-response","data":{}}')),
)


@st.composite
def replies(draw: st.DrawFn) -> tuple[Part, ...]:
    """The parts of a message of the assistant; tool calls are followed by their results."""
    parts: list[Part] = []
    for number in range(draw(st.integers(0, 4))):
        parts.append(draw(words))
        if draw(st.booleans()):
            call_id, output = f"call_{number}", json.dumps(draw(outputs))
            server = draw(st.sampled_from([None, "library"]))
            call = ToolCallPart(call_id=call_id, name="look", arguments=draw(texts), server=server)
            parts.append(call)
            parts.append(ToolResultPart(call_id=call_id, output=output, failed=draw(st.booleans())))
    return tuple(parts)


persons = st.lists(texts, min_size=1, max_size=2).filter(
    lambda texts: bool("".join(texts).strip()) and "\0" not in "".join(texts)
)
messages = st.one_of(
    st.builds(lambda parts: (Role.USER, tuple(map(TextPart, parts))), persons),
    st.builds(lambda size: (Role.USER, (an_image(size),)), st.integers(20, 90)),
    st.builds(lambda parts: (Role.ASSISTANT, parts), replies()),
    st.builds(
        lambda role, text: (role, (TextPart(text),)),
        st.sampled_from([Role.SYSTEM, Role.DEVELOPER]),
        texts,
    ),
)


def listed(stored: Sequence[Message]) -> list[dict[str, Any]]:
    """The items of messages, as a client reads them."""
    documents = [item.document for item in items_of(a_conversation().id, stored)]
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode(documents))
    return decoded


def listed_again(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of a new conversation to which ``items`` were added."""
    body = parse_response_body({"input": items})
    assert not isinstance(body.input, str | None)
    policy = ImagePolicy(model_takes_images=True)
    read = input_items(body.input, items, MessageLimit(), "input", policy)
    inputs = with_ids(read, RandomIdentifiers())
    return listed(append_items(a_conversation(), inputs, NOON).messages)


def without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name != "id"} for item in items]


@settings(max_examples=200)
@given(st.lists(messages, max_size=6))
def test_listed_items_are_listed_the_same_when_they_are_sent_again(
    written: list[tuple[Role, tuple[Part, ...]]],
) -> None:
    stored = [
        a_message(number, role=role, parts=parts, id=MessageId(f"message-{number}"))
        for number, (role, parts) in enumerate(written, 1)
    ]
    items = listed(stored)

    assert without_ids(listed_again(items)) == without_ids(items)


CALL = ToolCallPart(call_id="a", name="search", arguments="{}", server="library")


def server_call(**members: Any) -> dict[str, Any]:
    """The item of a call that the service ran, as a client sends it again."""
    result = ToolResultPart(call_id="a", output='"two books"')
    [item] = listed([a_message(role=Role.ASSISTANT, parts=(CALL, result))])
    return {**item, **members}


def test_a_call_that_is_sent_again_without_its_output_says_so() -> None:
    item = server_call()
    del item["output"]
    [again] = listed_again([item])

    assert (again["status"], again["output"]) == ("completed", "The output was not sent again.")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("No such shelf.", "No such shelf."),
        ({"type": "http_error", "code": 502, "message": "Bad gateway"}, "Bad gateway"),
        ({"type": "mcp_tool_execution_error", "content": [{"text": "a"}, {"text": "b"}]}, "a\nb"),
        ({"type": "mcp_tool_execution_error", "content": [{"image": 1}]}, None),
        ({"type": "new"}, '{"type":"new"}'),
    ],
)
def test_every_form_of_an_error_is_kept_as_text(error: object, text: str | None) -> None:
    [again] = listed_again([server_call(output=None, error=error)])
    shown = again["error"]["content"][0]["text"]

    assert again["status"] == "failed"
    assert shown == (json.dumps(error, separators=(",", ":")) if text is None else text)


def test_deleting_a_call_that_the_service_ran_deletes_its_result() -> None:
    result = ToolResultPart(call_id="a", output='"two books"')
    reply = a_message(role=Role.ASSISTANT, parts=(CALL, TextPart("Hm."), result, TextPart("Two.")))
    conversation = evolve(a_conversation(), messages=(reply,), next_number=2)
    changed = without_part(conversation, reply.id, 0)

    assert [item["type"] for item in listed(changed.messages)] == ["message", "message"]
    assert "two books" not in str(changed.messages)


def test_an_interrupted_reply_can_be_sent_again() -> None:
    reply = a_message(role=Role.ASSISTANT, status=MessageStatus.INTERRUPTED)
    [item] = listed([reply])

    assert item["status"] == "incomplete"
    assert [again["content"] for again in listed_again([item])] == [item["content"]]


def test_the_longest_reply_can_be_sent_again() -> None:
    longest = (
        TextPart("\n" * MAX_REPLY_BYTES),
        ReasoningPart("ä" * (MAX_REPLY_BYTES // 2)),
        ToolCallPart(call_id="a", name="look", arguments=" " * MAX_REPLY_BYTES),
        ToolResultPart(call_id="a", output=json.dumps("\n" * MAX_REPLY_BYTES)),
    )
    items = listed([a_message(role=Role.ASSISTANT, parts=longest)])

    assert without_ids(listed_again(items)) == without_ids(items)


def test_a_reply_without_text_is_sent_again_as_nothing() -> None:
    nothing = {"role": "assistant", "content": []}
    hello = {"role": "user", "content": "Hello?"}

    assert len(listed_again([hello, nothing, {**nothing, "content": ""}])) == 1


def test_a_refusal_is_kept_as_text() -> None:
    refusal = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    [item] = listed_again([refusal])

    assert [part["text"] for part in item["content"]] == ["No."]


def test_the_reasoning_in_a_message_is_kept_as_reasoning() -> None:
    thought = {"type": "reasoning_text", "text": "Hm."}
    [item] = listed_again([{"role": "assistant", "content": [thought]}])

    assert (item["type"], item["summary"][0]["text"]) == ("reasoning", "Hm.")
