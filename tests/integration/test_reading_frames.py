"""Reading a part of a conversation: in slices, and without decoding what lies before it."""

import pytest
from attrs import evolve

from adapters.encrypted_redis import frame_reader
from adapters.encrypted_redis.frame_reader import FrameReader
from adapters.wire_format import conversation_record, message_record
from adapters.wire_format.packing import unpack
from domain.model.conversation import WORKING_MEMORY
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef, Owner
from domain.model.message import Message
from ports.errors import StoredStateUnreadable
from tests.support.builders import ID, OTHER_ID, OWNER, REF, STRANGER, a_conversation, texts_of
from tests.support.changes import answering, asking
from tests.support.redis_store import RedisHarness

TURNS = 44
ALL = [text for n in range(1, TURNS + 1) for text in (f"question {n}", f"answer {n}")]
FRAMES = 10
"""Five that were merged, and five that were not."""


@pytest.fixture
async def long(harness: RedisHarness) -> RedisHarness:
    """A store with one conversation of ten frames."""
    await harness.store.create(OWNER, a_conversation())
    for number in range(1, TURNS + 1):
        opened = await harness.store.update(REF, asking(f"question {number}", number), last=1)
        await harness.store.update(REF, answering(f"answer {number}", number), base=opened)
    assert len(await harness.frames()) == FRAMES
    return harness


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the messages that were decoded."""
    numbers: list[int] = []

    def counting(record: message_record.MessageRecord) -> Message:
        numbers.append(record.number)
        return message_record.message_of(record)

    monkeypatch.setattr(conversation_record, "message_of", counting)
    return numbers


@pytest.mark.parametrize("slices", [(1, 1), (1, 2), (2, 3), (3, 4), (9, 1), (10, 9)])
async def test_slices_of_any_size_give_the_same(
    long: RedisHarness, slices: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_reader, "_FIRST_SLICE", slices[0])
    monkeypatch.setattr(frame_reader, "_SLICE", slices[1])
    tail = await long.store.load(REF, 30)
    page = await long.store.page(REF, 21, 10)

    assert texts_of(await long.store.load(REF)) == ALL
    assert texts_of(tail) == ALL[tail.earlier :]
    assert [message.text for message in page.messages] == ALL[10:20]


@pytest.mark.parametrize(("before", "limit"), [(None, 10), (60, 10), (11, 10), (5, 10)])
async def test_a_page_decodes_its_own_messages_only(
    long: RedisHarness, decoded: list[int], before: int | None, limit: int
) -> None:
    page = await long.store.page(REF, before, limit)

    assert decoded == [message.number for message in page.messages]
    assert len(decoded) == min(limit, (before or len(ALL) + 1) - 1)


async def test_a_page_decompresses_only_frames_that_it_needs(
    long: RedisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[bytes] = []

    def counting(packed: bytes, max_bytes: int) -> bytes:
        unpacked.append(packed)
        return unpack(packed, max_bytes)

    monkeypatch.setattr(conversation_record, "unpack", counting)
    await long.store.page(REF, 15, 10)

    # The five that were not merged, and the one with the page.
    assert len(unpacked) == 6


async def test_a_prompt_decodes_little_more_than_the_working_memory(
    long: RedisHarness, decoded: list[int]
) -> None:
    await long.store.update(REF, lambda stored: evolve(stored, working_memory_from=70), last=1)
    decoded.clear()
    await long.store.load(REF, WORKING_MEMORY)

    assert decoded == [*range(63, len(ALL) + 1)]


@pytest.mark.parametrize("index", range(1, FRAMES - 1))
async def test_a_frame_that_is_only_passed_over_must_be_in_its_place(
    long: RedisHarness, index: int
) -> None:
    frames = await long.frames()
    frames[index] = frames[index - 1]
    await long.put(frames)

    with pytest.raises(StoredStateUnreadable):
        await long.store.page(REF, 5, 4)


async def test_frames_of_another_owner_instead_of_the_newest_are_no_missing_conversation(
    long: RedisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_reader, "_FIRST_SLICE", 2)
    await long.store.create(STRANGER, a_conversation(id=OTHER_ID))
    [foreign] = await long.frames(OTHER_ID)
    await long.put([*(await long.frames())[:-3], *[foreign] * 3])

    with pytest.raises(StoredStateUnreadable):
        await long.store.load(REF, 1)
    with pytest.raises(ConversationNotFound):
        await long.store.load(ConversationRef(Owner(secret=b"y" * 32), ID), 1)


async def test_a_write_between_two_slices_is_no_damage(
    long: RedisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_reader, "_FIRST_SLICE", 1)
    slice_of, changes = FrameReader._slice, iter([asking("And?", 99)])

    async def slice_after_a_write(self: FrameReader, last: int, length: int) -> list[bytes]:
        frames = await slice_of(self, last, length)
        if change := next(changes, None):
            await long.store.update(REF, change, last=1)
        return frames

    monkeypatch.setattr(FrameReader, "_slice", slice_after_a_write)
    page = await long.store.page(REF, None, len(ALL) + 1)

    assert [message.text for message in page.messages] == [*ALL, "And?"]
