"""Sources, and the tools that the service runs, on ``/v1``."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.identifiers import MessageId
from domain.model.message import (
    FinishReason,
    Message,
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
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
from domain.service.server_calls import with_all_results
from entrypoints.http.openai.chat_documents import CompletionSkeleton
from entrypoints.http.openai.chat_events import ChatEvents
from entrypoints.http.openai.events import ResponseEvents
from entrypoints.http.openai.items import items_of, response_id
from entrypoints.http.openai.responses import ResponseSkeleton, item_status, output_items
from entrypoints.http.openai.streaming import indexed_pieces
from tests.support.builders import a_conversation, a_message
from tests.support.clocks import NOON

REPLY = MessageId("msg_1")
FINISHED = TurnEnd(outcome=Outcome.FINISHED, finish_reason=FinishReason.STOP)
SOURCES = (
    SourcePart(id="s1", title="Opening hours", url="https://example.org/hours", excerpt="9 to 5"),
    SourcePart(id="s2", title="A note", excerpt="Nobody can open it."),
    SourcePart(id="s3", title="Prices", url="https://example.org/prices"),
)
SEARCH = ToolCallPart(call_id="call_1", name="search", arguments='{"q":"tea"}', server="library")
FOUND = ToolResultPart(call_id="call_1", output='"two books"')


def documents_of(stream: bytes) -> list[dict[str, Any]]:
    """The JSON documents of an event stream."""
    lines = (line.removeprefix("data: ") for line in stream.decode().splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def streamed(
    pieces: Sequence[Piece],
    end: TurnEnd = FINISHED,
    *,
    after: int = -1,
    part_indexes: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """The events of a response with these pieces."""
    skeleton = ResponseSkeleton(
        id=response_id(a_conversation().id, 1), created_at=NOON, model="m", echo={}
    )
    events = ResponseEvents(
        skeleton, REPLY, obfuscated=False, after=after, part_indexes=part_indexes
    )
    start = events.start()
    rendered = [events.piece(NumberedPiece(n, piece)) for n, piece in enumerate(pieces, 1)]
    return documents_of(b"".join([start, *rendered, events.end(end, NOON)]))


def stored(parts: Sequence[Part], end: TurnEnd = FINISHED) -> list[dict[str, Any]]:
    """The output of the stored response with these parts."""
    items = output_items(a_conversation().id, REPLY, parts, item_status(end))
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode(items))
    return decoded


def listed(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    """The items of a conversation with this reply."""
    reply: Message = a_message(role=Role.ASSISTANT, parts=parts, id=REPLY)
    items = items_of(a_conversation().id, [reply])
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode([i.document for i in items]))
    return decoded


def annotations(parts: tuple[Part, ...]) -> list[list[dict[str, Any]]]:
    """The annotations of each text."""
    return [
        item["content"][0]["annotations"] for item in stored(parts) if item["type"] == "message"
    ]


# Sources


def test_a_marker_in_the_text_cites_its_source() -> None:
    text = "We open at nine [1]."

    [[citation, _]] = annotations((*SOURCES, TextPart(text)))

    assert citation == {
        "type": "url_citation",
        "start_index": 16,
        "end_index": 19,
        "url": "https://example.org/hours",
        "title": "Opening hours",
    }
    assert text[citation["start_index"] : citation["end_index"]] == "[1]"


def test_a_source_that_is_not_cited_stands_for_the_whole_text() -> None:
    [[_, other]] = annotations((*SOURCES, TextPart("We open at nine [1].")))

    assert (other["title"], other["start_index"], other["end_index"]) == ("Prices", 0, 20)


def test_one_marker_may_cite_several_sources() -> None:
    [found] = annotations((*SOURCES, TextPart("Nine o'clock, five euros [1, 3].")))

    assert [(one["title"], one["start_index"]) for one in found] == [
        ("Opening hours", 25),
        ("Prices", 25),
    ]


def test_a_number_that_is_no_source_and_a_source_without_a_url_have_no_annotation() -> None:
    [found] = annotations((*SOURCES[1:2], TextPart("As the note says [1], and [0] and [2].")))

    assert found == []


def test_a_text_before_a_call_has_only_the_sources_that_it_cites() -> None:
    parts = (*SOURCES, TextPart("Let me look."), SEARCH, FOUND, StepMark(), TextPart("Found [3]."))

    first, second = annotations(parts)

    assert first == []
    assert sorted(one["title"] for one in second) == ["Opening hours", "Prices"]


def test_sources_are_no_items_and_keep_the_indexes_of_the_others() -> None:
    [item] = stored((*SOURCES, TextPart("Hello")))

    assert item["id"].endswith("_3")


def test_annotations_are_added_before_the_text_is_done() -> None:
    events = streamed([*map(SourcePiece, SOURCES), TextPiece("At nine"), TextPiece(" [1].")])
    kinds = [event["type"] for event in events]
    added = [event for event in events if event["type"].endswith("annotation.added")]

    assert kinds[4:] == [
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [one["annotation_index"] for one in added] == [0, 1]
    [part] = events[-1]["response"]["output"][0]["content"]
    assert [one["annotation"] for one in added] == part["annotations"]


# Tools that the service runs


def test_a_call_and_its_result_are_one_item() -> None:
    [item] = listed((SEARCH, FOUND))

    assert item == {
        "id": item["id"],
        "type": "mcp_call",
        "server_label": "library",
        "name": "search",
        "arguments": '{"q":"tea"}',
        "approval_request_id": None,
        "output": "two books",
        "error": None,
        "status": "completed",
    }
    assert item["id"].startswith("mcp_")


def test_a_result_that_is_no_string_is_shown_as_json() -> None:
    result = ToolResultPart(call_id="call_1", output='{"books":2}')

    assert listed((SEARCH, result))[0]["output"] == '{"books":2}'


def test_a_failed_call_has_an_error() -> None:
    failed = ToolResultPart(call_id="call_1", output='"No such shelf."', failed=True)
    [item] = listed((SEARCH, failed))

    assert (item["status"], item["output"]) == ("failed", None)
    assert item["error"] == {
        "type": "mcp_tool_execution_error",
        "content": [{"type": "text", "text": "No such shelf."}],
    }


def call_piece(arguments: str, call_id: str = "call_1") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="search", arguments=arguments, server="library")


def test_a_call_streams_with_the_events_of_openai() -> None:
    pieces: list[Piece] = [
        call_piece('{"q":'),
        call_piece('"tea"}'),
        ToolResultPiece(FOUND),
        StepPiece(),
        TextPiece("Two."),
        StatePiece("{}"),
    ]
    events = streamed(pieces)

    assert [event["type"] for event in events[2:9]] == [
        "response.output_item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
        "response.output_item.done",
    ]
    assert events[2]["item"]["status"] == "in_progress"
    assert events[2]["item"]["arguments"] == ""
    assert events[8]["item"] == events[-1]["response"]["output"][0]
    assert events[8]["item"]["output"] == "two books"


def test_two_calls_at_once_get_their_own_results() -> None:
    other = ToolResultPart(call_id="call_2", output='"nothing"', failed=True)
    pieces: list[Piece] = [
        call_piece("{}"),
        call_piece("{}", "call_2"),
        ToolResultPiece(FOUND),
        ToolResultPiece(other),
    ]
    events = streamed(pieces)
    ends = [event["type"] for event in events if event["type"].startswith("response.mcp_call.")]

    assert ends[2:] == ["response.mcp_call.completed", "response.mcp_call.failed"]
    assert [item["status"] for item in events[-1]["response"]["output"]] == ["completed", "failed"]


def test_a_call_that_the_end_interrupts_has_failed() -> None:
    end = TurnEnd(outcome=Outcome.INTERRUPTED)
    events = streamed([TextPiece("Let me look."), call_piece("{}")], end)
    item = events[-1]["response"]["output"][1]

    assert item["status"] == "failed"
    assert "interrupted" in item["error"]["content"][0]["text"]
    assert "response.mcp_call.failed" in [event["type"] for event in events]


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


def test_reasoning_before_a_call_is_kept() -> None:
    parts = (ReasoningPart("Hm."), SEARCH, FOUND)

    assert [item["type"] for item in stored(parts)] == ["reasoning", "mcp_call"]
