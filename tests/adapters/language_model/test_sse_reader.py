"""Server-sent events, read wherever the network cuts the stream."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.language_model.sse_reader import ServerSentEvent, SseReader

STREAM = "event: hello\nid: 1\ndata: ä\n\n: comment\n\ndata:b\ndata: c\n\ndata:\n\n".encode()
EVENTS = [
    ServerSentEvent("hello", "ä".encode()),
    ServerSentEvent("", b"b"),
    ServerSentEvent("", b"c"),
]


def read(*chunks: bytes) -> list[ServerSentEvent]:
    reader = SseReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
@settings(max_examples=50)
@given(cuts=st.sets(st.integers(0, len(STREAM) + STREAM.count(b"\n"))))
def test_events_do_not_depend_on_line_ends_and_cuts(line_end: bytes, cuts: set[int]) -> None:
    stream = STREAM.replace(b"\n", line_end)
    offsets = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    assert read(*[stream[start:end] for start, end in pairwise(offsets)]) == EVENTS


def test_a_crlf_cut_in_two_does_not_end_the_event() -> None:
    assert read(b"event: hello\r", b"", b"\ndata: a\r\n") == [ServerSentEvent("hello", b"a")]


def test_a_name_that_is_not_utf_8_is_replaced() -> None:
    assert read(b"event: \xff\ndata: a\n") == [ServerSentEvent("\ufffd", b"a")]


def test_the_length_of_an_unfinished_line_is_counted() -> None:
    reader = SseReader()

    assert reader.feed(b"data: a\ndata: ") == [ServerSentEvent("", b"a")]
    assert reader.unfinished_bytes == len(b"data: ")
