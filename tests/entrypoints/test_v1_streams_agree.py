"""On ``/v1``, a stream and its document show the same reply."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.message import (
    ToolResultPart,
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
    assemble_parts,
)
from domain.model.turn import Outcome, TurnEnd
from domain.service.reply_reading import indexed_pieces
from domain.service.server_calls import with_all_results
from entrypoints.http.openai.chat_documents import CompletionSkeleton
from entrypoints.http.openai.chat_events import ChatEvents
from tests.support.clocks import NOON
from tests.support.v1_replies import (
    FINISHED,
    FOUND,
    SOURCES,
    call_piece,
    documents_of,
    stored,
    streamed,
)

# Streams and documents agree

words = st.sampled_from(["a", "See [1].", " [2, 3]", "\n", "😀 [3]"])
calls = st.sampled_from(["call_1", "call_2"])
results = st.sampled_from(['"text"', "[1]", '""'])


@st.composite
def steps(draw: st.DrawFn, *, is_last: bool) -> list[Piece]:
    """The pieces of one step: words, calls and the results of those that we run.

    Only the last step may have calls that have no result, or that the client answers.
    """
    callers = st.sampled_from(["library", None]) if is_last else st.just("library")
    pieces: list[Piece] = []
    servers: dict[str, str | None] = {}
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["text", "reasoning", "call", "state"]))
        if kind == "call":
            call_id = draw(calls)
            server = servers.setdefault(call_id, draw(callers))
            arguments = draw(st.sampled_from(["{}", '{"a":', ""]))
            pieces.append(
                ToolCallPiece(call_id=call_id, name="f", arguments=arguments, server=server)
            )
        elif kind == "state":
            pieces.append(StatePiece(draw(words)))
        else:
            pieces.append((TextPiece if kind == "text" else ReasoningPiece)(draw(words)))
    for call_id, server in servers.items():
        if server is not None and (not is_last or draw(st.booleans())):
            result = ToolResultPart(
                call_id=call_id, output=draw(results), failed=draw(st.booleans())
            )
            pieces.append(ToolResultPiece(result))
    return pieces


@st.composite
def replies(draw: st.DrawFn) -> list[Piece]:
    pieces: list[Piece] = [SourcePiece(one) for one in SOURCES[: draw(st.integers(0, 3))]]
    for step in draw(st.lists(steps(is_last=False), max_size=2)):
        pieces += [*step, StepPiece()]
    return [*pieces, *draw(steps(is_last=True))]


ends = st.sampled_from([FINISHED, TurnEnd(outcome=Outcome.INTERRUPTED)])


@settings(max_examples=300, deadline=None)
@given(replies(), ends)
def test_the_streamed_and_the_stored_output_are_the_same(pieces: list[Piece], end: TurnEnd) -> None:
    parts = with_all_results(assemble_parts(pieces))
    events = streamed(pieces, end)
    added = [event["item"]["id"] for event in events if event["type"].endswith("item.added")]
    done = {
        event["item"]["id"]: event["item"]
        for event in events
        if event["type"].endswith("item.done")
    }

    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    output = events[-1]["response"]["output"]
    assert output == stored(parts, end)
    assert added == [item["id"] for item in output]
    assert {item_id: item for item_id, item in done.items() if item["type"] == "mcp_call"} == {
        item["id"]: item for item in output if item["type"] == "mcp_call"
    }


@settings(max_examples=200, deadline=None)
@given(replies(), ends)
def test_a_stored_reply_streams_with_the_same_output(pieces: list[Piece], end: TurnEnd) -> None:
    parts = with_all_results(assemble_parts(pieces))
    indexed = [*indexed_pieces(parts)]
    again = streamed(
        [piece for _, piece in indexed], end, part_indexes=[index for index, _ in indexed]
    )

    assert again[-1]["response"]["output"] == stored(parts, end)


@settings(deadline=None)
@given(replies(), st.integers(-1, 40))
def test_a_stream_goes_on_after_any_event(pieces: list[Piece], after: int) -> None:
    events = streamed(pieces)
    rest = streamed(pieces, after=after)

    expected = [event for event in events if event["sequence_number"] > after]
    assert rest[:-1] == expected[:-1]
    assert rest[-1]["response"] == events[-1]["response"]


# Chat completions

SKELETON = CompletionSkeleton(id="chatcmpl-1", created_at=NOON, model="m")


def chunks(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    """The deltas of a streamed completion."""
    events = ChatEvents(SKELETON, lambda _: None, with_usage=False, obfuscated=False)
    rendered = [events.piece(NumberedPiece(n, piece)) for n, piece in enumerate(pieces, 1)]
    documents = documents_of(b"".join([*rendered, events.end(FINISHED)]))
    return [document["choices"][0]["delta"] for document in documents]


def message(pieces: Sequence[Piece]) -> dict[str, Any]:
    """The message of the completion as one document."""
    completion = SKELETON.completion(assemble_parts(pieces), FINISHED)
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(completion))
    found: dict[str, Any] = decoded["choices"][0]["message"]
    return found


def test_a_completion_has_annotations_of_its_text() -> None:
    pieces: list[Piece] = [*map(SourcePiece, SOURCES), TextPiece("At nine [1].")]
    found = message(pieces)["annotations"]

    assert found[0] == {
        "type": "url_citation",
        "url_citation": {
            "start_index": 8,
            "end_index": 11,
            "url": "https://example.org/hours",
            "title": "Opening hours",
        },
    }
    assert chunks(pieces)[-2:] == [{"annotations": found}, {}]


def test_a_completion_does_not_show_the_tools_that_the_service_runs() -> None:
    pieces: list[Piece] = [
        TextPiece("Let me look."),
        call_piece("{}"),
        ToolResultPiece(FOUND),
        StepPiece(),
        TextPiece("Two "),
        TextPiece("books."),
    ]
    shown = message(pieces)

    assert "tool_calls" not in shown
    assert shown["content"] == "Let me look.\n\nTwo books."
    deltas = chunks(pieces)
    assert not any("tool_calls" in delta for delta in deltas)
    assert "".join(delta.get("content") or "" for delta in deltas) == shown["content"]


@settings(deadline=None)
@given(replies())
def test_the_streamed_and_the_whole_completion_are_the_same(pieces: list[Piece]) -> None:
    deltas, whole = chunks(pieces), message(pieces)

    assert "".join(delta.get("content") or "" for delta in deltas) == (whole["content"] or "")
    added = [one for delta in deltas for one in delta.get("annotations", [])]
    assert added == whole["annotations"]
