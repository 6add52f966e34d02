"""Bytes that are refused as records."""

from contextlib import suppress

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
from domain.model.identifiers import SessionId
from tests.support.builders import ID, a_conversation, a_message, after_turns


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\0",
        bytes((SCHEMA + 1, 0)) + b"\x92\xc0\x90",
        bytes((SCHEMA, 9)) + b"\x92\xc0\x90",
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


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_decode_error(noise: bytes) -> None:
    with suppress(DecodeError):
        decode_frame(bytes((SCHEMA, 1)) + noise)


def test_the_dictionary_makes_frames_smaller() -> None:
    conversation = after_turns(8)

    packed = encode_frame(conversation.messages[:2], head=conversation)

    assert len(packed) < 0.8 * len(zstandard.compress(unpack(packed), 19))


def test_a_head_that_counts_too_few_messages_is_refused() -> None:
    content = decode_frame(encode_frame([a_message(1)], head=a_conversation()))
    assert content.head is not None

    with pytest.raises(DecodeError):
        conversation_of(SessionId(ID), content.head, content.messages)
