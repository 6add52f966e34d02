"""Bytes that are refused as records."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.wire_format.conversation_record import conversation_of, decode_frame, encode_frame
from adapters.wire_format.packing import (
    RECORD_MAX_BYTES,
    SCHEMA,
    DecodeError,
    RecordTooLarge,
    pack,
    unpack,
)
from adapters.wire_format.turn_piece import decode_entry, encode_entry
from domain.model.identifiers import SessionId
from domain.model.piece import NumberedPiece, TextPiece
from tests.support.builders import END, ID, a_conversation, a_message, after_turns


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\0",
        bytes((SCHEMA + 1, 0)) + b"\x92\xc0\x90",
        bytes((SCHEMA, 9)) + b"\x92\xc0\x90",
        bytes((SCHEMA, 2)) + b"\0\0\0\x01",
        bytes((SCHEMA, 3)) + b"\0\0\0\x01",
        bytes((SCHEMA, 3)),
        bytes((SCHEMA, 0)) + b"\x92\xc0",
        bytes((SCHEMA, 0)) + msgspec.msgpack.encode({"role": "user", "content": "plain"}),
        bytes((SCHEMA, 1)) + b"no zstd at all",
        b'{"role": "user"}',
    ],
)
def test_bytes_that_are_not_a_record_of_a_known_version_are_refused(packed: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_frame(packed)


def test_the_error_for_an_unknown_version_names_it() -> None:
    with pytest.raises(DecodeError, match="schema version 7"):
        unpack(bytes((7, 0)) + b"later")


def test_a_record_that_is_too_large_when_unpacked_is_refused() -> None:
    bomb = pack(bytes(RECORD_MAX_BYTES + 1), max_bytes=RECORD_MAX_BYTES + 1)

    assert len(bomb) < 10_000
    with pytest.raises(DecodeError, match="too large"):
        unpack(bomb)


def test_the_largest_packed_record_can_be_unpacked() -> None:
    assert unpack(pack(bytes(RECORD_MAX_BYTES))) == bytes(RECORD_MAX_BYTES)
    with pytest.raises(RecordTooLarge):
        pack(bytes(RECORD_MAX_BYTES + 1))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_decode_error(noise: bytes) -> None:
    with suppress(DecodeError):
        decode_frame(bytes((SCHEMA, 1)) + noise)


MAX_INTEGER = 2**64 - 1
LAST_MICROSECOND = 253_402_300_799_999_999
values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from((-1, 0, 8, LAST_MICROSECOND, LAST_MICROSECOND + 1, MAX_INTEGER, -(2**63))),
    st.integers(-(2**63), MAX_INTEGER),
    st.floats(),
    st.binary(max_size=20),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
)


def places_in(record: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or dictionary in the record, with each of its indexes or keys."""
    if isinstance(record, list | dict):
        for index in range(len(record)) if isinstance(record, list) else list(record):
            yield record, index
            yield from places_in(record[index])


def with_one_value_replaced(packed: bytes, place: int, value: Any) -> bytes:
    record = msgspec.msgpack.decode(unpack(packed))
    places = list(places_in(record))
    container, index = places[place % len(places)]
    container[index] = value
    return pack(msgspec.msgpack.encode(record))


FRAME = encode_frame(after_turns(2).messages, head=after_turns(2)).packed
ENTRY = encode_entry([NumberedPiece(1, TextPiece("Hi!"))], END)


@settings(max_examples=1_500)
@given(st.integers(0, 99), values)
def test_a_frame_with_any_value_in_any_place_raises_nothing_but_decode_error(
    place: int, value: Any
) -> None:
    packed = with_one_value_replaced(FRAME, place, value)
    with suppress(DecodeError):
        content = decode_frame(packed)
        if content.head is not None:
            conversation = conversation_of(SessionId(ID), content.head, content.messages)
            assert conversation.expires_at > conversation.created_at.min.replace(tzinfo=UTC)


@settings(max_examples=500)
@given(st.integers(0, 99), values)
def test_a_log_entry_with_any_value_in_any_place_raises_nothing_but_decode_error(
    place: int, value: Any
) -> None:
    length = int.from_bytes(ENTRY[:4], "big")
    packed = with_one_value_replaced(ENTRY[4 : 4 + length], place, value)
    with suppress(DecodeError):
        decode_entry(len(packed).to_bytes(4, "big") + packed)


def test_the_dictionary_makes_frames_smaller() -> None:
    conversation = after_turns(8)

    packed = encode_frame(conversation.messages[:2], head=conversation).packed

    assert len(packed) < 0.8 * len(zstandard.compress(unpack(packed), 19))


def test_a_head_that_counts_too_few_messages_is_refused() -> None:
    content = decode_frame(encode_frame([a_message(1)], head=a_conversation()).packed)
    assert content.head is not None

    with pytest.raises(DecodeError):
        conversation_of(SessionId(ID), content.head, content.messages)
