"""Turning the chunks of a streamed reply into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.language_model.chat_stream import ChatStream
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, ModelPiece, ReasoningPiece, TextPiece, ToolCallPiece
from tests.support.model_server import DONE, delta, event, finished, used

WHOLE = b"".join(
    (
        b": a comment\n\n",
        delta(role="assistant", content=""),
        delta(reasoning_content="Hm"),
        delta(content="Grüße 🙂"),
        delta(content="\n\n"),
        finished(),
        used(3, 4),
        DONE,
    )
)
PIECES = [ReasoningPiece("Hm"), TextPiece("Grüße 🙂"), TextPiece("\n\n")]


def read(*chunks: bytes) -> tuple[list[ModelPiece], ModelFinished]:
    stream = ChatStream()
    pieces = [piece for chunk in chunks for piece in stream.feed(chunk)]
    return pieces, stream.finish()


@settings(max_examples=100)
@given(cuts=st.sets(st.integers(0, len(WHOLE))))
def test_pieces_do_not_depend_on_where_the_network_cuts(cuts: set[int]) -> None:
    offsets = sorted({0, len(WHOLE), *cuts})
    chunks = [WHOLE[start:end] for start, end in pairwise(offsets)]

    pieces, last = read(*chunks)

    assert pieces == PIECES
    assert last.usage == Usage(input_tokens=3, output_tokens=4)


@pytest.mark.parametrize(
    "variant", [WHOLE.replace(b"\n", b"\r\n"), WHOLE.replace(b"data: ", b"data:")]
)
def test_other_spellings_of_events_are_understood(variant: bytes) -> None:
    assert read(variant)[0] == PIECES


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("something_new", FinishReason.OTHER),
    ],
)
def test_finish_reasons_are_translated(value: str, reason: FinishReason) -> None:
    assert read(delta(content="Hi"), finished(value), DONE)[1].reason is reason


def test_done_without_a_finish_reason_ends_the_reply() -> None:
    assert read(delta(content="Hi"), DONE)[1] == ModelFinished(reason=FinishReason.OTHER)


def test_chunks_after_done_are_ignored() -> None:
    assert read(delta(content="Hi"), DONE, delta(content="again"))[0] == [TextPiece("Hi")]


def test_a_refusal_is_part_of_the_text() -> None:
    assert read(delta(refusal="No."), finished())[0] == [TextPiece("No.")]


def test_reasoning_is_read_under_both_names() -> None:
    pieces, _ = read(delta(reasoning="a"), delta(reasoning_content="b"), finished())

    assert pieces == [ReasoningPiece("a"), ReasoningPiece("b")]


def call(index: int, call_id: str | None, name: str | None, arguments: str) -> bytes:
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": call_id, "function": function}])


def piece(call_id: str, arguments: str, name: str = "look") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name=name, arguments=arguments)


def test_tool_calls_are_distinguished_by_index() -> None:
    pieces, _ = read(
        call(0, "a", "look", ""),
        call(1, "b", "look", "{"),
        call(0, None, None, '{"x":'),
        call(1, None, None, "}"),
        call(0, None, None, "1}"),
        finished("tool_calls"),
    )

    assert pieces == [
        piece("a", ""),
        piece("b", "{"),
        piece("a", '{"x":'),
        piece("b", "}"),
        piece("a", "1}"),
    ]


def test_tool_calls_with_the_same_index_are_distinguished_by_id() -> None:
    pieces, _ = read(call(0, "a", "look", "{}"), call(0, "b", "find", "{}"), finished())

    assert pieces == [piece("a", "{}"), piece("b", "{}", "find")]


def test_a_tool_call_without_an_id_gets_one() -> None:
    pieces, _ = read(call(0, None, "look", "{"), call(0, "", None, "}"), finished())

    assert isinstance(pieces[0], ToolCallPiece)
    call_id = pieces[0].call_id
    assert call_id
    assert pieces == [piece(call_id, "{"), piece(call_id, "}")]


def test_unknown_members_and_empty_chunks_are_ignored() -> None:
    odd = event({"id": "1", "object": "x", "choices": None, "usage": None, "new": [1]})

    assert read(odd, b"data:\n\n", WHOLE)[0] == PIECES


def test_the_details_of_the_usage_are_read_where_the_server_reports_them() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    other = {**usage, "prompt_tokens_details": None, "completion_tokens_details": [4]}

    assert read(finished(), event({"choices": [], "usage": usage}))[1].usage == Usage(
        input_tokens=9, output_tokens=5, cached_input_tokens=8, reasoning_tokens=4
    )
    assert read(finished(), event({"choices": [], "usage": other}))[1].usage == Usage(
        input_tokens=9, output_tokens=5
    )
