"""What servers send that is not by the book: understood where it can be, never fatal to a whole
reply.
"""

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
from ports.language_model import ModelError
from tests.support.model_server import DONE, delta, event, finished, used

LONE = "\ufffd"


def read(*chunks: bytes) -> tuple[list[Piece], ModelFinished]:
    stream = ChatStream()
    pieces = [piece for chunk in chunks for piece in stream.feed(chunk)]
    return [*pieces, *stream.end()], stream.finish()


def more(arguments: str, name: str | None = None, **members: Any) -> bytes:
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": 0, "function": function, **members}])


def test_a_content_that_is_a_list_is_its_texts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "image"}, {"type": "text", "text": "lo"}]

    assert read(delta(content=parts), finished())[0] == [TextPiece("Hello")]


def test_what_is_thought_in_a_list_is_no_text() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    pieces, _ = read(delta(content=[thinking, {"type": "text", "text": "Hi"}]), finished())

    assert pieces == [ReasoningPiece("Hm"), TextPiece("Hi")]


@pytest.mark.parametrize("odd", [{"a": 1}, 7, [7, {"text": None}], None])
def test_a_content_without_text_is_no_text(odd: object) -> None:
    assert read(delta(content=odd, reasoning=odd), delta(content="Hi"), finished())[0] == [
        TextPiece("Hi")
    ]


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 9.0, "completion_tokens": 1.5}, (9, None)),
        ({"prompt_tokens": -1, "completion_tokens": True}, (None, None)),
        ({"prompt_tokens": "9", "completion_tokens": None}, (None, None)),
    ],
)
def test_counts_that_are_none_are_not_told(
    told: object, usage: tuple[int | None, int | None]
) -> None:
    _, last = read(delta(content="Hi"), finished(), event({"choices": [], "usage": told}))

    assert last.usage == Usage(input_tokens=usage[0], output_tokens=usage[1])


@pytest.mark.parametrize("odd", ["none", [], 7])
def test_a_usage_of_another_kind_takes_nothing_from_what_was_told(odd: object) -> None:
    _, last = read(finished(), used(3, 4), event({"choices": [], "usage": odd}))

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
def test_a_reply_that_is_whole_stays_so_whatever_follows(after: bytes) -> None:
    pieces, last = read(delta(content="Hi"), finished(), after)

    assert (pieces, last.reason) == ([TextPiece("Hi")], FinishReason.STOP)


@pytest.mark.parametrize("broken", [event({"error": {"message": "x"}}), b'data: {"cho'])
def test_before_its_end_a_reply_fails_with_them(broken: bytes) -> None:
    with pytest.raises(ModelError):
        read(delta(content="Hi"), broken)


def test_the_last_line_needs_no_end() -> None:
    pieces, last = read(delta(content="Hi"), delta(content="!"), finished().rstrip())

    assert pieces == [TextPiece("Hi"), TextPiece("!")]
    assert last.reason is FinishReason.STOP


HALVES = b"".join(
    (
        delta(content="a\ud83d"),
        delta(content="\ude00b"),
        more('{"', "look", id="a"),
        more("\ud83d"),
        more("\ude00"),
        finished(),
        DONE.rstrip(),
    )
).replace(b"\n", b"\r")


@settings(max_examples=50, deadline=None)
@given(cuts=st.sets(st.integers(0, len(HALVES))))
def test_halves_of_characters_and_lines_that_end_with_cr_are_put_together(cuts: set[int]) -> None:
    places = sorted({0, len(HALVES), *cuts})
    pieces, _ = read(*[HALVES[start:end] for start, end in pairwise(places)])

    text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
    arguments = "".join(one.arguments for one in pieces if isinstance(one, ToolCallPiece))
    assert (text, arguments) == ("a😀b", '{"😀')


def test_half_a_character_that_stays_alone_is_marked() -> None:
    half, other = delta(content="a\ud83d"), delta(content="\ude00")

    assert read(half, finished())[0] == [TextPiece("a"), TextPiece(LONE)]
    assert read(half, delta(content="b"), finished())[0] == [TextPiece("a"), TextPiece(LONE + "b")]
    assert read(other, finished())[0] == [TextPiece(LONE)]


@given(st.lists(st.text(st.characters(codec=None), max_size=3), max_size=6))
@example(["\ud83d", "", "\ude00"])
def test_no_half_ever_gets_through(texts: list[str]) -> None:
    characters = SurrogateJoiner()
    said = "".join([*map(characters.of, texts), characters.rest()])

    joined = "".join(texts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert said == joined
