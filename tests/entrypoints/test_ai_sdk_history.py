"""Parts of messages in the AI SDK's shape: its history, and the prior steps of a resumed reply."""

import json
from typing import Any

import msgspec
import pytest
from attrs import evolve

from domain.model.message import (
    FilePart,
    FinishReason,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from entrypoints.http.ai_sdk.history import ai_sdk_history
from entrypoints.http.ui_message_stream import ReplyChunks
from tests.support.builders import (
    a_conversation,
    a_message,
    reply_id,
    turn_id,
    with_question,
    with_user_message,
)
from tests.support.event_stream import events_in

CALL = ToolCallPart(call_id="a", name="look", arguments='{"at": 1}')


def shown(message: Message) -> dict[str, Any]:
    conversation = a_conversation(messages=(message,), next_number=2)
    history = json.loads(msgspec.json.encode(ai_sdk_history("mine", conversation)))
    assert history["id"] == "mine"
    message_document: dict[str, Any] = history["messages"][0]
    return message_document


def parts(*parts: Part, **members: Any) -> list[dict[str, Any]]:
    message = a_message(parts=parts, role=Role.ASSISTANT, **members)
    documents: list[dict[str, Any]] = shown(message)["parts"]
    return documents[1:] if message.turn else documents


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (TextPart("Hi"), {"type": "text", "text": "Hi", "state": "done"}),
        (ReasoningPart("Hm"), {"type": "reasoning", "text": "Hm", "state": "done"}),
        (StepMark(), {"type": "step-start"}),
        (
            FilePart(url="https://a.example/b", media_type="image/png"),
            {"type": "file", "url": "https://a.example/b", "mediaType": "image/png"},
        ),
        (
            FilePart(url="https://a.example/b", media_type="image/png", name="b.png"),
            {
                "type": "file",
                "url": "https://a.example/b",
                "mediaType": "image/png",
                "filename": "b.png",
            },
        ),
        (UnknownPart('{"type":"new"}'), {"type": "data-unknown", "data": {"type": "new"}}),
    ],
)
def test_every_kind_of_part_has_its_counterpart(part: Part, expected: dict[str, Any]) -> None:
    assert parts(part) == [expected]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ((), {"state": "input-available"}),
        (
            (ToolResultPart(call_id="a", output="[1]"),),
            {"state": "output-available", "output": [1]},
        ),
        (
            (ToolResultPart(call_id="a", output='"No"', failed=True),),
            {"state": "output-error", "errorText": "No"},
        ),
        (
            (ToolResultPart(call_id="a", output="[1]", failed=True),),
            {"state": "output-error", "errorText": "[1]"},
        ),
    ],
)
def test_a_call_and_its_result_are_one_part(
    result: tuple[ToolResultPart, ...], expected: dict[str, Any]
) -> None:
    call = {"type": "tool-look", "toolCallId": "a", "input": {"at": 1}}

    assert parts(CALL, *result) == [{**call, **expected}]


def test_a_result_of_a_call_with_broken_arguments_is_shown() -> None:
    broken = ToolCallPart(call_id="a", name="look", arguments='{"at"')

    [part] = parts(broken, ToolResultPart(call_id="a", output="1"))
    assert (part["rawInput"], part["output"]) == ('{"at"', 1)
    assert parts(broken)[0]["state"] == "output-error"


def test_only_a_reply_begins_with_a_step() -> None:
    welcome = a_message(role=Role.ASSISTANT, turn=0)
    reply = a_message(role=Role.ASSISTANT)

    first_types = [shown(message)["parts"][0]["type"] for message in (welcome, reply, a_message())]
    assert first_types == ["text", "step-start", "text"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (MessageStatus.FINISHED, set()),
        (MessageStatus.INTERRUPTED, {"aborted"}),
        (MessageStatus.FAILED, {"failed"}),
    ],
)
def test_the_metadata_has_the_status_of_a_reply(status: MessageStatus, expected: set[str]) -> None:
    metadata = shown(a_message(role=Role.ASSISTANT, status=status))["metadata"]

    assert set(metadata) == {"sessionId", "createdAt"} | expected


def test_the_metadata_says_why_the_model_stopped() -> None:
    cut = a_message(role=Role.ASSISTANT, finish_reason=FinishReason.LENGTH)

    assert shown(cut)["metadata"]["finishReason"] == "length"


def test_the_document_names_the_running_turn() -> None:
    running = with_question(with_user_message(a_conversation()))

    assert ai_sdk_history("mine", running).active_stream_id == turn_id()
    assert ai_sdk_history("mine", a_conversation()).active_stream_id is None


def test_prior_steps_are_streamed_again_without_calling_a_tool() -> None:
    result = ToolResultPart(call_id="a", output="1")
    failed = ToolResultPart(call_id="b", output='"No"', failed=True)
    other = ToolCallPart(call_id="b", name="look", arguments="")
    chunks = ReplyChunks(turn_id(), reply_id(), {})
    prior = (TextPart("Hi"), CALL, result, StepMark(), ReasoningPart("Hm"), other, failed)

    events = events_in(chunks.start((*prior, UnknownPart("{}"))))

    assert [event.kind for event in events] == [
        *("start", "start-step"),
        *("text-start", "text-delta", "text-end"),
        *("tool-input-start", "tool-input-delta", "tool-output-available"),
        *("finish-step", "start-step"),
        *("reasoning-start", "reasoning-delta", "reasoning-end"),
        *("tool-input-start", "tool-input-delta", "tool-output-error"),
        *("finish-step", "start-step"),
    ]
    assert [bool(event.cursor) for event in events] == [False] * 17 + [True]


def test_arguments_that_are_nested_too_deeply_are_shown_as_text() -> None:
    arguments = "[" * 2_000 + "]" * 2_000
    call = ToolCallPart(call_id="a", name="look", arguments=arguments)
    [part] = parts(call)

    assert (part["state"], part["rawInput"]) == ("output-error", arguments)


OURS = ToolCallPart(call_id="a", name="look", arguments='{"at": 1}', server="library")
FOUND = ToolResultPart(call_id="a", output="[1]")
SOURCE = SourcePart(id="s1", title="B", url="https://a.example/b", excerpt="Once")


@pytest.mark.parametrize(
    ("call", "result", "expected"),
    [
        (
            OURS,
            FOUND,
            {"state": "output-available", "input": {"at": 1}, "output": [1]},
        ),
        (
            evolve(OURS, arguments="{oh"),
            evolve(FOUND, output='"No"', failed=True),
            {"state": "output-error", "input": "{oh", "errorText": "No"},
        ),
    ],
)
def test_a_call_that_we_run_is_a_dynamic_tool(
    call: ToolCallPart, result: ToolResultPart, expected: dict[str, Any]
) -> None:
    ours = {"type": "dynamic-tool", "toolName": "look", "toolCallId": "a", "providerExecuted": True}

    assert parts(call, result) == [{**ours, **expected}]


def test_two_steps_may_use_the_same_call_id() -> None:
    later = evolve(FOUND, output="[2]")
    shown_parts = parts(OURS, FOUND, StepMark(), OURS, later)

    assert [part.get("output") for part in shown_parts] == [[1], None, [2]]


def test_a_call_of_a_reply_that_did_not_finish_is_not_to_be_run() -> None:
    [part] = parts(CALL, status=MessageStatus.INTERRUPTED)

    assert part == {
        "type": "tool-look",
        "toolCallId": "a",
        "input": {"at": 1},
        "rawInput": CALL.arguments,
        "state": "input-streaming",
    }


def test_a_source_is_the_part_that_was_streamed() -> None:
    assert parts(SOURCE, SourcePart(id="s2", title="C")) == [
        {
            "type": "source-url",
            "sourceId": "s1",
            "title": "B",
            "url": "https://a.example/b",
            "providerMetadata": {"privity": {"excerpt": "Once"}},
        },
        {"type": "source-document", "sourceId": "s2", "title": "C", "mediaType": "text/plain"},
    ]


def test_prior_calls_that_we_ran_and_sources_are_streamed_again() -> None:
    chunks = ReplyChunks(turn_id(), reply_id(), {})
    events = events_in(chunks.start((SOURCE, OURS, FOUND, CALL, FOUND)))

    assert [event.kind for event in events] == [
        *("start", "start-step", "source-url"),
        *("tool-input-start", "tool-input-delta", "tool-input-available", "tool-output-available"),
        *("tool-input-start", "tool-input-delta", "tool-output-available"),
        *("finish-step", "start-step"),
    ]
    assert [event.document.get("providerExecuted") for event in events[3:10]] == [
        *(True, None, True, True),
        *(None, None, None),
    ]
