"""Replies assembled from pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.message import ReasoningPart, TextPart, ToolCallPart
from domain.model.piece import (
    Piece,
    ReasoningPiece,
    TextPiece,
    ToolCallPiece,
    assemble_parts,
    piece_bytes,
)

words = st.text(max_size=5)
pieces = st.one_of(
    st.builds(TextPiece, words),
    st.builds(ReasoningPiece, words),
    st.builds(ToolCallPiece, call_id=st.sampled_from("ab"), name=st.just("look"), arguments=words),
)


def call(call_id: str, arguments: str) -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="look", arguments=arguments)


def test_neighbours_of_one_kind_become_one_part() -> None:
    streamed: list[Piece] = [TextPiece("a"), TextPiece("b"), ReasoningPiece("c"), TextPiece("d")]

    assert assemble_parts(streamed) == (TextPart("ab"), ReasoningPart("c"), TextPart("d"))


def test_the_pieces_of_a_call_are_joined_across_other_pieces() -> None:
    streamed: list[Piece] = [
        call("a", "{"),
        call("b", "["),
        TextPiece("x"),
        call("a", "}"),
        call("b", "]"),
    ]

    assert assemble_parts(streamed) == (
        ToolCallPart(call_id="a", name="look", arguments="{}"),
        ToolCallPart(call_id="b", name="look", arguments="[]"),
        TextPart("x"),
    )


def test_no_pieces_make_no_parts() -> None:
    assert assemble_parts([]) == ()


def text_of(streamed: list[Piece], kind: type[TextPiece] | type[ReasoningPiece]) -> str:
    return "".join(piece.text for piece in streamed if isinstance(piece, kind))


@settings(max_examples=50)
@given(streamed=st.lists(pieces, max_size=12))
def test_no_word_is_lost_or_moved(streamed: list[Piece]) -> None:
    parts = assemble_parts(streamed)

    texts = "".join(part.text for part in parts if isinstance(part, TextPart))
    reasoning = "".join(part.text for part in parts if isinstance(part, ReasoningPart))
    assert texts == text_of(streamed, TextPiece)
    assert reasoning == text_of(streamed, ReasoningPiece)
    for name in "ab":
        called = [
            p.arguments for p in streamed if isinstance(p, ToolCallPiece) and p.call_id == name
        ]
        whole = [p.arguments for p in parts if isinstance(p, ToolCallPart) and p.call_id == name]
        assert "".join(called) == "".join(whole)
        assert len(whole) == bool(called)


@pytest.mark.parametrize(
    ("piece", "size"),
    [
        (TextPiece("ä🙂"), 6),
        (TextPiece(""), 0),
        (ReasoningPiece("\ud800"), 3),
        (ToolCallPiece(call_id="äb", name="look", arguments="{}"), 9),
    ],
)
def test_the_size_of_a_piece_is_all_its_text_in_utf_8(piece: Piece, size: int) -> None:
    assert piece_bytes(piece) == size
