"""Parts of messages in the AI SDK's shape: its history, and what is told again."""

import json
from typing import Any

import msgspec
import pytest

from domain.model.message import (
    FilePart,
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
from entrypoints.http.ai_sdk.history import ai_sdk_history
from entrypoints.http.ui_message_stream import prior_steps
from tests.support.builders import (
    a_conversation,
    a_message,
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
    said: dict[str, Any] = history["messages"][0]
    return said


def parts(*parts: Part, **members: Any) -> list[dict[str, Any]]:
    message = a_message(parts=parts, role=Role.ASSISTANT, **members)
    told: list[dict[str, Any]] = shown(message)["parts"]
    return told[1:] if message.turn else told


@pytest.mark.parametrize(
    ("part", "told"),
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
def test_every_kind_of_part_has_its_counterpart(part: Part, told: dict[str, Any]) -> None:
    assert parts(part) == [told]


@pytest.mark.parametrize(
    ("result", "told"),
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
    result: tuple[ToolResultPart, ...], told: dict[str, Any]
) -> None:
    asked_with = {"type": "tool-look", "toolCallId": "a", "input": {"at": 1}}

    assert parts(CALL, *result) == [{**asked_with, **told}]


def test_a_result_of_a_call_with_broken_arguments_is_shown() -> None:
    broken = ToolCallPart(call_id="a", name="look", arguments='{"at"')

    told = parts(broken, ToolResultPart(call_id="a", output="1"))
    assert (told[0]["rawInput"], told[0]["output"]) == ('{"at"', 1)
    assert parts(broken)[0]["state"] == "output-error"


def test_only_a_reply_begins_with_a_step() -> None:
    welcome = a_message(role=Role.ASSISTANT, turn=0)
    reply = a_message(role=Role.ASSISTANT)

    begins = [shown(said)["parts"][0]["type"] for said in (welcome, reply, a_message())]
    assert begins == ["text", "step-start", "text"]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (MessageStatus.FINISHED, set()),
        (MessageStatus.INTERRUPTED, {"aborted"}),
        (MessageStatus.FAILED, {"failed"}),
    ],
)
def test_the_metadata_has_the_status_of_a_reply(status: MessageStatus, told: set[str]) -> None:
    metadata = shown(a_message(role=Role.ASSISTANT, status=status))["metadata"]

    assert set(metadata) == {"sessionId", "createdAt"} | told


def test_the_document_names_the_running_turn() -> None:
    running = with_question(with_user_message(a_conversation()))

    assert ai_sdk_history("mine", running).active_stream_id == turn_id()
    assert ai_sdk_history("mine", a_conversation()).active_stream_id is None


def test_prior_steps_are_streamed_again_without_calling_a_tool() -> None:
    result = ToolResultPart(call_id="a", output="1")
    failed = ToolResultPart(call_id="b", output='"No"', failed=True)
    other = ToolCallPart(call_id="b", name="look", arguments="")
    told = (TextPart("Hi"), CALL, result, StepMark(), ReasoningPart("Hm"), other, failed)

    events = events_in(prior_steps((*told, UnknownPart("{}"))))

    assert [event.kind for event in events] == [
        *("text-start", "text-delta", "text-end"),
        *("tool-input-start", "tool-input-delta", "tool-output-available"),
        *("finish-step", "start-step"),
        *("reasoning-start", "reasoning-delta", "reasoning-end"),
        *("tool-input-start", "tool-input-delta", "tool-output-error"),
        *("finish-step", "start-step"),
    ]
    assert prior_steps(()) == b""
