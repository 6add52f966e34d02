"""Sources, and the tools that the service runs, on ``/v1``."""

from typing import Any

from domain.model.message import (
    Part,
    ReasoningPart,
    StepMark,
    TextPart,
    ToolResultPart,
)
from domain.model.piece import (
    Piece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolResultPiece,
)
from domain.model.turn import Outcome, TurnEnd
from tests.support.v1_replies import (
    FOUND,
    SEARCH,
    SOURCES,
    call_piece,
    listed,
    stored,
    streamed,
)


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


def test_reasoning_before_a_call_is_kept() -> None:
    parts = (ReasoningPart("Hm."), SEARCH, FOUND)

    assert [item["type"] for item in stored(parts)] == ["reasoning", "mcp_call"]
