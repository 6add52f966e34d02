"""A turn as chunks of the AI SDK's UI message stream."""

from datetime import UTC, datetime

import pytest

from domain.model.message import (
    FinishReason,
    ReasoningPart,
    TextPart,
    Usage,
)
from domain.model.piece import (
    NumberedPiece,
    Piece,
    ReasoningPiece,
    TextPiece,
)
from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.problems import PROBLEM_TYPES
from entrypoints.http.ui_message_stream import ReplyChunks
from tests.support.builders import reply_id
from tests.support.ui_chunks import DONE, TURN, a_turn, call, kinds, named, parsed

LATER = datetime(2026, 1, 3, 12, tzinfo=UTC)


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


def test_a_client_that_has_the_text_gets_only_what_is_new() -> None:
    chunks = ReplyChunks(TURN, reply_id(), {}, joins_text=True)
    raw = chunks.start() + chunks.piece(NumberedPiece(1, TextPiece("me"))) + chunks.end(DONE)

    assert [named(chunk) for _, chunk in parsed(raw)][2:-2] == [
        ("text-start", "p0", None),
        ("text-delta", "p0", "me"),
        ("text-end", "p0", None),
    ]
