"""Streams that deviate from the standard: read leniently, and never fatal to a complete reply."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.language_model.chat_chunks import SurrogateJoiner
from adapters.language_model.chat_stream import ChatStream
from domain.model.message import FinishReason, Usage
from domain.model.piece import (
    ModelFinished,
    Piece,
    ReasoningPiece,
    TextPiece,
    ToolCallPiece,
)
from ports.language_model import MalformedStream, ModelError
from tests.support.model_server import DONE, delta, event, finished, used

FFFD = "\ufffd"


def read(*chunks: bytes) -> tuple[list[Piece], ModelFinished]:
    stream = ChatStream()
    pieces = [piece for chunk in chunks for piece in stream.feed(chunk)]
    return [*pieces, *stream.end()], stream.finish()


def call(arguments: str, name: str | None = None, **members: Any) -> bytes:
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": 0, "function": function, **members}])


def test_the_texts_of_a_content_list_are_joined() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "image"}, {"type": "text", "text": "lo"}]

    assert read(delta(content=parts), finished())[0] == [TextPiece("Hello")]


def test_reasoning_in_a_content_list_is_separated_from_its_text() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    pieces, _ = read(delta(content=[thinking, {"type": "text", "text": "Hi"}]), finished())

    assert pieces == [ReasoningPiece("Hm"), TextPiece("Hi")]


@pytest.mark.parametrize("content", [{"a": 1}, 7, [7, {"text": None}], None])
def test_content_without_text_adds_nothing(content: object) -> None:
    assert read(delta(content=content, reasoning=content), delta(content="Hi"), finished())[0] == [
        TextPiece("Hi")
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"prompt_tokens": 9.0, "completion_tokens": 1.5}, (9, None)),
        ({"prompt_tokens": -1, "completion_tokens": True}, (None, None)),
        ({"prompt_tokens": "9", "completion_tokens": None}, (None, None)),
    ],
)
def test_invalid_token_counts_are_none(
    value: object, expected: tuple[int | None, int | None]
) -> None:
    _, last = read(delta(content="Hi"), finished(), event({"choices": [], "usage": value}))

    assert last.usage == Usage(input_tokens=expected[0], output_tokens=expected[1])


@pytest.mark.parametrize("invalid", ["none", [], 7])
def test_an_invalid_usage_does_not_replace_an_earlier_one(invalid: object) -> None:
    _, last = read(finished(), used(3, 4), event({"choices": [], "usage": invalid}))

    assert last.usage == Usage(input_tokens=3, output_tokens=4)


@pytest.mark.parametrize(
    "after",
    [
        event({"error": {"message": "overloaded"}}),
        b"data: {\n\n",
        event({"choices": "none"}),
        b'data: {"cho',
    ],
)
def test_nothing_that_follows_a_complete_reply_makes_it_fail(after: bytes) -> None:
    pieces, last = read(delta(content="Hi"), finished(), after)

    assert (pieces, last.reason) == ([TextPiece("Hi")], FinishReason.STOP)


@pytest.mark.parametrize("broken", [event({"error": {"message": "x"}}), b'data: {"cho'])
def test_the_same_failures_end_an_incomplete_reply(broken: bytes) -> None:
    with pytest.raises(ModelError):
        read(delta(content="Hi"), broken)


def test_the_last_line_needs_no_line_end() -> None:
    pieces, last = read(delta(content="Hi"), delta(content="!"), finished().rstrip())

    assert pieces == [TextPiece("Hi"), TextPiece("!")]
    assert last.reason is FinishReason.STOP


SPLIT_PAIRS = b"".join(
    (
        delta(content="a\ud83d"),
        delta(content="\ude00b"),
        call('{"', "look", id="a"),
        call("\ud83d"),
        call("\ude00"),
        finished(),
        DONE.rstrip(),
    )
).replace(b"\n", b"\r")


@settings(max_examples=50)
@given(cuts=st.sets(st.integers(0, len(SPLIT_PAIRS))))
def test_split_surrogate_pairs_and_cr_line_ends_are_read(cuts: set[int]) -> None:
    offsets = sorted({0, len(SPLIT_PAIRS), *cuts})
    pieces, _ = read(*[SPLIT_PAIRS[start:end] for start, end in pairwise(offsets)])

    text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
    arguments = "".join(piece.arguments for piece in pieces if isinstance(piece, ToolCallPiece))
    assert (text, arguments) == ("a😀b", '{"😀')


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    high, low = delta(content="a\ud83d"), delta(content="\ude00")

    assert read(high, finished())[0] == [TextPiece("a"), TextPiece(FFFD)]
    assert read(high, delta(content="b"), finished())[0] == [
        TextPiece("a"),
        TextPiece(FFFD + "b"),
    ]
    assert read(low, finished())[0] == [TextPiece(FFFD)]


@given(st.lists(st.text(st.characters(codec=None), max_size=3), max_size=6))
@example(["\ud83d", "", "\ude00"])
def test_joined_text_never_contains_a_lone_surrogate(texts: list[str]) -> None:
    joiner = SurrogateJoiner()
    joined = "".join([*map(joiner.add, texts), joiner.flush()])

    expected = "".join(texts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert joined == expected


def test_a_token_count_that_no_reply_can_have_is_ignored() -> None:
    _, end = read(finished(), used(10**30, 2))

    assert end.usage == Usage(input_tokens=None, output_tokens=2)


def test_content_that_is_nested_too_deeply_is_malformed() -> None:
    content: Any = "Hi"
    for _ in range(40):
        content = [{"text": content}]

    with pytest.raises(MalformedStream):
        read(delta(content=content), finished())
