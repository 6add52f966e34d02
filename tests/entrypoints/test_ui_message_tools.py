"""Tools that the service runs, and sources, as chunks of the AI SDK's UI message stream."""

from typing import Any

import pytest

from domain.model.message import SourcePart, TextPart, ToolResultPart
from domain.model.piece import (
    NumberedPiece,
    Piece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
)
from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.ui_message_stream import ReplyChunks
from tests.support.builders import reply_id
from tests.support.ui_chunks import DONE, TURN, a_turn, call, kinds, named, parsed

OURS = {"toolCallId": "c", "toolName": "look"}
BY_US = {"providerExecuted": True, "dynamic": True}


def our_call(arguments: str, call_id: str = "c") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="look", arguments=arguments, server="library")


def result(output: str = '"found"', call_id: str = "c", *, failed: bool = False) -> ToolResultPiece:
    return ToolResultPiece(ToolResultPart(call_id=call_id, output=output, failed=failed))


def documents_of(*pieces: Piece, end: TurnEnd = DONE) -> list[dict[str, Any]]:
    """The chunks between the beginning of a turn and its last two chunks."""
    return [document for _, document in a_turn(*pieces, end=end)[2:-2]]


def test_a_call_that_we_run_is_complete_before_its_result() -> None:
    pieces = (our_call(""), our_call('{"a":'), our_call("{}}"), result())

    assert documents_of(*pieces) == [
        {"type": "tool-input-start", **OURS, **BY_US},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": ""},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"a":'},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{}}"},
        {"type": "tool-input-available", **OURS, **BY_US, "input": {"a": {}}},
        {"type": "tool-output-available", "toolCallId": "c", **BY_US, "output": "found"},
    ]


@pytest.mark.parametrize(
    ("arguments", "complete"),
    [
        ("", {"type": "tool-input-available", "input": {}}),
        ('"text"', {"type": "tool-input-available", "input": "text"}),
        (
            f'{{"a":"{"b" * 4_096}"}}',
            {"type": "tool-input-available", "input": {"a": "b" * 4_096}},
        ),
        (
            "{oh",
            {
                "type": "tool-input-error",
                "input": "{oh",
                "errorText": "The model's arguments are not JSON.",
            },
        ),
    ],
)
def test_other_arguments_are_complete_with_the_result(
    arguments: str, complete: dict[str, Any]
) -> None:
    chunks = ReplyChunks(TURN, reply_id(), {})
    before = parsed(chunks.piece(NumberedPiece(1, our_call(arguments))))
    after = parsed(chunks.piece(NumberedPiece(2, result(failed=True))))

    assert [document["type"] for _, document in before] == ["tool-input-start", "tool-input-delta"]
    assert after == [
        ("", {**complete, **OURS, **BY_US}),
        (
            f"{TURN}.2",
            {"type": "tool-output-error", "toolCallId": "c", **BY_US, "errorText": "found"},
        ),
    ]


def test_two_steps_may_use_the_same_call_id() -> None:
    step = (our_call("{}"), result())

    assert kinds(*step, StepPiece(), *step) == [
        *("start", "start-step"),
        *("tool-input-start", "tool-input-delta", "tool-input-available", "tool-output-available"),
        *("finish-step", "start-step"),
        *("tool-input-start", "tool-input-delta", "tool-input-available", "tool-output-available"),
        *("finish-step", "finish"),
    ]


@pytest.mark.parametrize("outcome", [Outcome.FINISHED, Outcome.INTERRUPTED, Outcome.FAILED])
def test_a_call_whose_result_was_lost_ends_with_the_reply(outcome: Outcome) -> None:
    end = TurnEnd(outcome=outcome)
    lost = next(
        document
        for _, document in a_turn(our_call("{}"), end=end)
        if document["type"] == "tool-output-error"
    )

    assert "it is unknown whether it had an effect" in lost["errorText"]


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.FAILED])
@pytest.mark.parametrize("arguments", ["{}", "{oh"])
def test_a_client_runs_no_tool_for_a_reply_that_did_not_finish(
    outcome: Outcome, arguments: str
) -> None:
    chunks = kinds(call(arguments), end=TurnEnd(outcome=outcome))

    assert not {"tool-input-available", "tool-input-error"} & set(chunks)


def test_a_client_runs_no_tool_that_has_a_result() -> None:
    assert [document["type"] for document in documents_of(call("{}"), result(failed=True))] == [
        *("tool-input-start", "tool-input-delta", "tool-output-error"),
    ]


@pytest.mark.parametrize("output", ['{"__proto__":{"a":1}}', '{"a":1e999}'])
def test_an_output_that_would_break_the_client_becomes_text(output: str) -> None:
    assert documents_of(our_call("{}"), result(output))[-1]["output"] == output


def test_sources_come_as_whole_parts() -> None:
    url = "https://a.example/b"
    pieces = (
        SourcePiece(SourcePart(id="s1", title="B", url=url, excerpt="Once")),
        SourcePiece(SourcePart(id="s2", title="C")),
        StatePiece('{"phase":2}'),
        TextPiece("Hi"),
    )
    excerpt = {"privity": {"excerpt": "Once"}}

    assert a_turn(*pieces)[2:5] == [
        (
            f"{TURN}.1",
            {
                "type": "source-url",
                "sourceId": "s1",
                "title": "B",
                "url": url,
                "providerMetadata": excerpt,
            },
        ),
        (
            f"{TURN}.2",
            {"type": "source-document", "sourceId": "s2", "title": "C", "mediaType": "text/plain"},
        ),
        ("", {"type": "text-start", "id": "p1"}),
    ]


def test_the_state_of_a_hook_is_never_shown_and_divides_no_text() -> None:
    assert documents_of(TextPiece("a"), StatePiece("1"), TextPiece("b")) == documents_of(
        TextPiece("a"), TextPiece("b")
    )


def test_text_after_a_step_does_not_join_the_text_of_a_reply_that_was_cut() -> None:
    chunks = ReplyChunks(TURN, reply_id(), {}, joins_text=True)
    pieces: list[Piece] = [TextPiece("me"), our_call("{}"), result(), StepPiece(), TextPiece("So")]
    numbered = [NumberedPiece(number, piece) for number, piece in enumerate(pieces, 1)]
    raw = chunks.start([TextPart("ti")]) + b"".join(map(chunks.piece, numbered)) + chunks.end(DONE)

    text = [named(chunk) for _, chunk in parsed(raw) if chunk["type"].startswith("text-")]
    assert text == [
        ("text-start", "p0", None),
        ("text-delta", "p0", "ti"),
        ("text-delta", "p0", "me"),
        ("text-end", "p0", None),
        ("text-start", "p1", None),
        ("text-delta", "p1", "So"),
        ("text-end", "p1", None),
    ]


@pytest.mark.parametrize(
    "piece",
    [SourcePiece(SourcePart(id="s1", title="B")), result("1"), our_call('{"a":1}')],
)
def test_what_is_not_text_is_padded_too(piece: Piece) -> None:
    chunks = ReplyChunks(TURN, reply_id(), {})
    chunks.piece(NumberedPiece(1, our_call("{")))

    assert len(chunks.piece(NumberedPiece(2, piece))) % 64 == 0
