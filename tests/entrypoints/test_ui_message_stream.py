"""A turn as chunks of the AI SDK's UI message stream."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from domain.model.message import (
    FinishReason,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolResultPart,
    Usage,
)
from domain.model.piece import (
    NumberedPiece,
    Piece,
    ReasoningPiece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
)
from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.problems import PROBLEM_TYPES
from entrypoints.http.ui_message_stream import ReplyChunks
from tests.support.builders import reply_id, turn_id

TURN = turn_id()
LATER = datetime(2026, 1, 3, 12, tzinfo=UTC)
DONE = TurnEnd(outcome=Outcome.FINISHED)


def parsed(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Cursor and document of each event, without the random padding."""
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        document = msgspec.json.decode(fields["data"])
        document.pop("obfuscation", None)
        found.append((fields.get("id", ""), document))
    return found


def a_turn(*pieces: Piece, end: TurnEnd = DONE) -> list[tuple[str, dict[str, Any]]]:
    chunks = ReplyChunks(TURN, reply_id(), {"sessionId": "s"})
    numbered = [NumberedPiece(number, piece) for number, piece in enumerate(pieces, 1)]
    content = b"".join(chunks.piece(piece) for piece in numbered)
    return parsed(chunks.start() + content + chunks.end(end))


def kinds(*pieces: Piece, end: TurnEnd = DONE) -> list[str]:
    return [document["type"] for _, document in a_turn(*pieces, end=end)]


def call(arguments: str, call_id: str = "c") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="look", arguments=arguments)


def test_a_text_reply_from_its_beginning_to_its_end() -> None:
    usage = Usage(input_tokens=7, output_tokens=3)
    reason = FinishReason.CONTENT_FILTER
    end = TurnEnd(outcome=Outcome.FINISHED, finish_reason=reason, usage=usage, expires_at=LATER)

    assert a_turn(TextPiece("Hi"), TextPiece("!"), end=end) == [
        ("", {"type": "start", "messageId": "reply-1", "messageMetadata": {"sessionId": "s"}}),
        (f"{TURN}.0", {"type": "start-step"}),
        ("", {"type": "text-start", "id": "p1"}),
        (f"{TURN}.1", {"type": "text-delta", "id": "p1", "delta": "Hi"}),
        (f"{TURN}.2", {"type": "text-delta", "id": "p1", "delta": "!"}),
        ("", {"type": "text-end", "id": "p1"}),
        ("", {"type": "finish-step"}),
        (
            "",
            {
                "type": "finish",
                "finishReason": "content-filter",
                "messageMetadata": {
                    "finishReason": "content-filter",
                    "usage": {"inputTokens": 7, "outputTokens": 3},
                    "expiresAt": "2026-01-03T12:00:00Z",
                },
            },
        ),
    ]


def test_every_change_of_kind_begins_a_new_part() -> None:
    pieces = (ReasoningPiece("Hm"), TextPiece("Hi"), call("{}"), TextPiece("Done"))

    assert kinds(*pieces) == [
        "start",
        "start-step",
        "reasoning-start",
        "reasoning-delta",
        "reasoning-end",
        "text-start",
        "text-delta",
        "text-end",
        "tool-input-start",
        "tool-input-delta",
        "text-start",
        "text-delta",
        "text-end",
        "tool-input-available",
        "finish-step",
        "finish",
    ]


def test_parts_have_distinct_ids() -> None:
    pieces = (TextPiece("a"), ReasoningPiece("b"), TextPiece("c"))
    deltas = [document for _, document in a_turn(*pieces) if document["type"].endswith("-delta")]

    assert [document["id"] for document in deltas] == ["p1", "p2", "p3"]


def test_only_the_last_chunk_of_a_piece_carries_its_cursor() -> None:
    cursors = [cursor for cursor, _ in a_turn(TextPiece("a"), ReasoningPiece("b"), call("{}"))]

    assert [cursor for cursor in cursors if cursor] == [f"{TURN}.{n}" for n in range(4)]


def test_tool_calls_may_be_interleaved() -> None:
    chunks = a_turn(call('{"a"', "c1"), call("", "c2"), call(":1}", "c1"))

    name = {"toolName": "look"}
    assert [document for _, document in chunks[2:-2]] == [
        {"type": "tool-input-start", "toolCallId": "c1", **name},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"a"'},
        {"type": "tool-input-start", "toolCallId": "c2", **name},
        {"type": "tool-input-delta", "toolCallId": "c2", "inputTextDelta": ""},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": ":1}"},
        {"type": "tool-input-available", "toolCallId": "c1", **name, "input": {"a": 1}},
        {"type": "tool-input-available", "toolCallId": "c2", **name, "input": {}},
    ]


def test_arguments_that_are_not_json_become_an_error_chunk() -> None:
    broken = next(
        document for _, document in a_turn(call("{oh")) if document["type"] == "tool-input-error"
    )

    assert (broken["input"], broken["errorText"]) == ("{oh", "The model's arguments are not JSON.")


def test_a_stopped_reply_is_aborted() -> None:
    end = TurnEnd(outcome=Outcome.INTERRUPTED, expires_at=LATER)

    metadata = {"aborted": True, "expiresAt": "2026-01-03T12:00:00Z"}
    assert [document for _, document in a_turn(TextPiece("Half"), end=end)][-3:] == [
        {"type": "text-end", "id": "p1"},
        {"type": "message-metadata", "messageMetadata": metadata},
        {"type": "abort"},
    ]


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome.FAILED, "model_busy"),
        (Outcome.GONE, "conversation_gone"),
        (Outcome.NOT_SAVED, "reply_not_saved"),
        (Outcome.INTERRUPTED, "turn_superseded"),
        (Outcome.INTERRUPTED, "turn_abandoned"),
        (Outcome.FAILED, None),
    ],
)
def test_a_failed_reply_ends_with_its_error(outcome: Outcome, error: str | None) -> None:
    last = a_turn(TextPiece("Half"), end=TurnEnd(outcome=outcome, error=error))[-1][1]

    assert last["type"] == "error"
    assert last["code"] == (error or "internal_error")
    assert last["errorText"].endswith(".")


@pytest.mark.parametrize("code", PROBLEM_TYPES)
def test_a_sentence_for_people_is_never_empty(code: str) -> None:
    last = a_turn(end=TurnEnd(outcome=Outcome.FAILED, error=code))[-1][1]

    assert last["errorText"]
    assert code not in last["errorText"]


@pytest.mark.parametrize(
    "end",
    [
        DONE,
        TurnEnd(outcome=Outcome.FINISHED, usage=Usage()),
        TurnEnd(outcome=Outcome.FINISHED, usage=Usage(output_tokens=1)),
        TurnEnd(outcome=Outcome.INTERRUPTED),
        TurnEnd(outcome=Outcome.FAILED),
    ],
)
def test_missing_values_are_left_out_and_never_null(end: TurnEnd) -> None:
    # The widget's parser refuses null where it expects a member to be absent.
    raw = ReplyChunks(TURN, reply_id(), {}).end(end)

    assert b"null" not in raw


def test_the_same_log_always_gives_the_same_chunks() -> None:
    pieces = (TextPiece("a"), call("{}"), ReasoningPiece("b"))

    assert a_turn(*pieces) == a_turn(*pieces)


def test_pieces_are_padded() -> None:
    chunks = ReplyChunks(TURN, reply_id(), {})
    chunks.piece(NumberedPiece(1, TextPiece("a")))

    assert len(chunks.piece(NumberedPiece(2, TextPiece("b" * 33)))) % 64 == 0


def test_the_text_of_a_continuation_is_one_part_that_begins_with_the_text_before_it() -> None:
    chunks = ReplyChunks(TURN, reply_id(), {}, joins_text=True)
    pieces: list[Piece] = [
        ReasoningPiece("On."),
        TextPiece("me"),
        ReasoningPiece("Hm."),
        TextPiece("!"),
    ]
    numbered = [NumberedPiece(number, piece) for number, piece in enumerate(pieces, 1)]
    prior = (ReasoningPart("So."), TextPart("Once upon a ti"))
    raw = chunks.start(prior) + b"".join(map(chunks.piece, numbered)) + chunks.end(DONE)

    assert [(cursor, *named(chunk)) for cursor, chunk in parsed(raw)][2:-2] == [
        ("", "reasoning-start", "e1", None),
        ("", "reasoning-delta", "e1", "So."),
        ("", "reasoning-end", "e1", None),
        ("", "text-start", "p0", None),
        (f"{TURN}.0", "text-delta", "p0", "Once upon a ti"),
        ("", "reasoning-start", "p1", None),
        (f"{TURN}.1", "reasoning-delta", "p1", "On."),
        ("", "reasoning-end", "p1", None),
        (f"{TURN}.2", "text-delta", "p0", "me"),
        ("", "reasoning-start", "p2", None),
        (f"{TURN}.3", "reasoning-delta", "p2", "Hm."),
        ("", "reasoning-end", "p2", None),
        (f"{TURN}.4", "text-delta", "p0", "!"),
        ("", "text-end", "p0", None),
    ]


def named(chunk: dict[str, Any]) -> tuple[str, str, str | None]:
    return chunk["type"], chunk.get("id", ""), chunk.get("delta")


def test_a_client_that_has_the_text_gets_only_what_is_new() -> None:
    chunks = ReplyChunks(TURN, reply_id(), {}, joins_text=True)
    raw = chunks.start() + chunks.piece(NumberedPiece(1, TextPiece("me"))) + chunks.end(DONE)

    assert [named(chunk) for _, chunk in parsed(raw)][2:-2] == [
        ("text-start", "p0", None),
        ("text-delta", "p0", "me"),
        ("text-end", "p0", None),
    ]


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


def test_an_output_that_would_break_the_client_becomes_text() -> None:
    output = '{"__proto__":{"a":1}}'

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
