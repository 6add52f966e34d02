"""Records: every conversation is decoded as it was encoded."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from attrs import evolve
from hypothesis import given, settings

from adapters.wire_format.conversation_record import (
    SizeBefore,
    conversation_of,
    decode_frame,
    encode_frame,
    first_number,
    messages_of,
    size_before,
)
from adapters.wire_format.head_records import TurnRecord
from adapters.wire_format.packing import DecodeError, RecordTooLarge, pack, unpack
from domain.model.conversation import Conversation
from domain.model.message import ImagePart, PromptReport, Role, Usage
from tests.adapters.wire_format.random_values import conversations
from tests.support.builders import (
    ID,
    a_conversation,
    a_message,
    after_turns,
    an_image,
    with_answer,
    with_question,
)


def round_trip(conversation: Conversation) -> Conversation:
    content = decode_frame(encode_frame(conversation.messages, head=conversation).packed)
    assert content.head is not None
    return conversation_of(conversation.id, content.head, content.messages)


@settings(max_examples=150)
@given(conversation=conversations)
def test_a_conversation_is_decoded_as_it_was_encoded(conversation: Conversation) -> None:
    assert round_trip(conversation) == conversation


def test_a_conversation_without_a_turn_is_decoded_as_it_was_encoded() -> None:
    assert round_trip(a_conversation(metadata={"a": "b"})) == a_conversation(metadata={"a": "b"})


def test_the_number_of_earlier_messages_is_stored() -> None:
    whole = after_turns(3)
    tail = evolve(whole, messages=whole.messages[4:], earlier=4)

    assert round_trip(tail) == tail


def test_a_record_from_before_turns_named_their_process_has_none() -> None:
    conversation = with_question(a_conversation())
    head, messages = msgspec.msgpack.decode(unpack(encode_frame((), head=conversation).packed))
    turn = next(value for value in head if isinstance(value, list))
    assert turn.pop() is None
    content = decode_frame(pack(msgspec.msgpack.encode([head, messages])))

    assert content.head is not None
    assert conversation_of(ID, content.head, ()).turn == conversation.turn


def test_what_a_turn_continues_costs_no_byte_in_other_turns() -> None:
    conversation = with_question(a_conversation())
    head, _ = msgspec.msgpack.decode(unpack(encode_frame((), head=conversation).packed))
    turn = next(value for value in head if isinstance(value, list))

    assert len(turn) == len(msgspec.structs.fields(TurnRecord)) - 2


def test_a_reply_of_an_older_release_has_neither_token_details_nor_a_prompt_report() -> None:
    reply = a_message(role=Role.ASSISTANT, usage=Usage(input_tokens=1, output_tokens=2))
    _, [values] = msgspec.msgpack.decode(unpack(encode_frame([reply]).packed))
    *_, usage = values

    assert (len(values), usage) == (9, [1, 2])
    assert messages_of(decode_frame(encode_frame([reply]).packed).messages) == (reply,)


def test_an_older_release_reads_the_messages_of_this_one() -> None:
    class OlderUsage(msgspec.Struct, array_like=True):
        input_tokens: int | None
        output_tokens: int | None

    report = PromptReport(messages_seen=1, messages_total=2)
    usage = Usage(input_tokens=1, output_tokens=2, reasoning_tokens=1)
    reply = a_message(role=Role.ASSISTANT, usage=usage, prompt_report=report)
    _, [values] = msgspec.msgpack.decode(unpack(encode_frame([reply]).packed))

    assert msgspec.convert(values[8], OlderUsage) == OlderUsage(1, 2)


def test_the_page_context_of_an_older_release_is_ignored() -> None:
    conversation = with_answer(with_question(a_conversation()))
    frame = encode_frame(conversation.messages, head=conversation)
    head, messages = msgspec.msgpack.decode(unpack(frame.packed))
    assert head[10] is None
    head[10] = '{"page":1}'
    content = decode_frame(pack(msgspec.msgpack.encode([head, messages])))

    assert content.head is not None
    assert conversation_of(ID, content.head, content.messages) == conversation


def test_the_page_context_is_stored_with_its_message() -> None:
    question = a_message(page_context='{"page":1}')
    _, [values] = msgspec.msgpack.decode(unpack(encode_frame([question]).packed))

    assert values[9:] == [None, '{"page":1}']
    assert messages_of(decode_frame(encode_frame([question]).packed).messages) == (question,)


def test_a_conversation_without_a_hook_is_stored_as_in_the_release_before_hooks() -> None:
    conversation = with_answer(
        with_question(a_conversation(metadata={"topic": "tax"}), page_context='{"page":1}')
    )
    stored = bytes.fromhex(
        "929ca2656ecf0006476672e35000cf0006476672e35000ce000151800200039ac410000000000000000000000"
        "0000000000101c408017265706c792d31cf0006476672e3500001c2c0cf0006476672e35000c0c001c0c081a5"
        "746f706963a3746178929bc40b017175657374696f6e2d31010100919200a648656c6c6f3fcf0006476672e35"
        "00000c0c0c0aa7b2270616765223a317d99c408017265706c792d31020101919200a3486921cf0006476672e3"
        "50000000c0"
    )
    content = decode_frame(pack(stored))

    assert unpack(encode_frame(conversation.messages, head=conversation).packed) == stored
    assert content.head is not None
    assert conversation_of(ID, content.head, content.messages) == conversation


def test_the_sizes_of_earlier_frames_are_stored() -> None:
    before = SizeBefore(sealed=200, unpacked=1_000)
    head = decode_frame(encode_frame([], head=a_conversation(), before=before).packed).head

    assert head is not None
    assert size_before(head) == before


def test_an_older_release_stored_only_the_sealed_size_of_earlier_frames() -> None:
    head = decode_frame(encode_frame([], head=a_conversation()).packed).head
    assert head is not None
    head.size_before = 200

    assert size_before(head) == SizeBefore(sealed=200, unpacked=0)


def test_the_images_of_earlier_frames_are_stored() -> None:
    before = SizeBefore(sealed=200, unpacked=1_000, images=50)
    head = decode_frame(encode_frame([], head=a_conversation(), before=before).packed).head

    assert head is not None
    assert size_before(head) == before


def test_an_older_release_can_read_the_sizes_of_frames_without_images() -> None:
    before = SizeBefore(sealed=200, unpacked=1_000)
    head = decode_frame(encode_frame([], head=a_conversation(), before=before).packed).head

    assert head is not None
    assert head.size_before == (200, 1_000)


def test_an_image_has_a_limit_of_its_own() -> None:
    message = a_message(parts=(an_image(2_000),))
    frame = encode_frame([message], max_bytes=200, max_image_bytes=2_000)
    content = decode_frame(frame.packed, 200)

    assert messages_of(content.messages) == (message,)
    assert content.images == frame.images == 2_000
    assert content.unpacked == frame.unpacked < 1_000
    with pytest.raises(RecordTooLarge):
        encode_frame([message], max_bytes=200, max_image_bytes=1_999)
    with pytest.raises(DecodeError):
        decode_frame(frame.packed, 10)


def test_the_stored_form_of_an_image_never_changes() -> None:
    part = ImagePart(media_type="image/png", data=b"\x89PNG", detail="low")
    _, [message] = msgspec.msgpack.decode(unpack(encode_frame([a_message(parts=(part,))]).packed))

    assert message[4] == [[7, "image/png", b"\x89PNG", "low"]]


def test_a_frame_may_have_no_head() -> None:
    content = decode_frame(encode_frame([a_message()]).packed)

    assert content.head is None
    assert messages_of(content.messages) == (a_message(),)


@pytest.mark.parametrize("text", ["", "Hello? " * 50])
@pytest.mark.parametrize("number", [1, 2_000, 2**32 - 1])
def test_a_labelled_frame_shows_its_first_number(text: str, number: int) -> None:
    messages = [a_message(number, text), a_message(number + 1, text)]
    labelled = encode_frame(messages, labelled=True)
    plain = encode_frame(messages)

    assert first_number(labelled.packed) == number
    assert messages_of(decode_frame(labelled.packed).messages) == tuple(messages)
    assert first_number(plain.packed) is None
    assert len(labelled.packed) == len(plain.packed) + 4
    assert labelled.unpacked == plain.unpacked


def test_a_number_that_is_too_large_for_a_label_is_left_out() -> None:
    messages = [a_message(2**32)]
    frame = encode_frame(messages, labelled=True)

    assert first_number(frame.packed) is None
    assert messages_of(decode_frame(frame.packed).messages) == tuple(messages)


def test_times_keep_their_microseconds_and_zone() -> None:
    at = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)

    assert round_trip(a_conversation(retained_since=at)).retained_since == at


@pytest.mark.parametrize(
    ("members", "count"),
    [({}, 12), ({"instructions_from": 3}, 14), ({"summarized_until": 3}, 15)],
)
def test_defaults_at_the_end_of_a_head_are_left_out(members: dict[str, Any], count: int) -> None:
    head = evolve(a_conversation(), **members)
    [stored, _] = msgspec.msgpack.decode(unpack(encode_frame([], head=head).packed, 1_000))

    assert len(stored) == count
    assert round_trip(head) == head
