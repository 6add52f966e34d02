"""Log entries: every one is decoded as it was encoded."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.wire_format.turn_piece import decode_entry, encode_entry
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import TurnEnd
from ports.turn_log import Batch
from tests.adapters.wire_format.random_values import ends, pieces, texts


@settings(max_examples=100)
@given(batch=st.lists(pieces, max_size=5), end=st.none() | ends, first=st.integers(1, 10**6))
def test_a_log_entry_is_decoded_as_it_was_encoded(
    batch: list[Any], end: TurnEnd | None, first: int
) -> None:
    numbered = [NumberedPiece(number, piece) for number, piece in enumerate(batch, first)]

    assert decode_entry(encode_entry(numbered, end)) == Batch(pieces=numbered, end=end)


@settings(max_examples=50)
@given(text=texts)
def test_an_entry_is_padded(text: str) -> None:
    assert len(encode_entry([NumberedPiece(1, TextPiece(text))])) % 256 == 0
