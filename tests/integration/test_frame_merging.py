"""Frames of a conversation of which only the newest messages are at hand."""

import os
from functools import partial

from adapters.encrypted_redis.frame_reader import FrameReader, newest_messages
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import RecordKind, Sealer, header_of
from domain.service.item_editing import with_metadata
from tests.support.builders import (
    ID,
    OWNER,
    REF,
    a_conversation,
    texts_of,
    with_answer,
    with_question,
)
from tests.support.redis_store import RING, RedisHarness

TURNS = 40
FRAMES_PER_MERGE = 8


async def talked_by_the_tail(harness: RedisHarness) -> None:
    """As the service does it: each turn begins with a read of some messages only."""
    await harness.store.create(OWNER, a_conversation())
    for number in range(1, TURNS + 1):
        begin = partial(with_question, text=f"question {number}", number=number)
        known = await harness.store.update(REF, begin, last=2)
        finish = partial(with_answer, text=f"answer {number}", number=number)
        await harness.store.update(REF, finish, base=known)


async def test_eight_become_one_also_when_fewer_messages_are_asked_for(
    harness: RedisHarness,
) -> None:
    await talked_by_the_tail(harness)

    assert len(await harness.frames()) <= TURNS // FRAMES_PER_MERGE + FRAMES_PER_MERGE
    assert len(texts_of(await harness.store.load(REF))) == 2 * TURNS


async def test_the_size_of_all_is_known_from_the_newest_frames(harness: RedisHarness) -> None:
    await talked_by_the_tail(harness)
    sealer = Sealer(ring=KeyRing.parse(RING), random_bytes=os.urandom)
    bound = sealer.bound(OWNER, RecordKind.STATE, ID)
    stored = await FrameReader(harness.client, ID, bound).read(newest_messages(1))

    assert not stored.is_whole
    assert stored.size == sum(map(len, await harness.frames()))


async def test_a_merged_frame_is_not_merged_again(harness: RedisHarness) -> None:
    """Nor when it was written anew, with other metadata, since."""
    await harness.store.create(OWNER, a_conversation())
    for number in range(1, TURNS + 1):
        await harness.store.update(REF, partial(with_question, text="Hello?", number=number))
        await harness.store.update(REF, partial(with_answer, text="Hi!", number=number))
        await harness.store.update(REF, partial(with_metadata, metadata={"n": str(number)}))

    # The empty conversation was a frame of its own.
    headers = [header_of(frame) for frame in await harness.frames()]
    spans = [header.last - header.first + 1 for header in headers]
    assert spans == [*[FRAMES_PER_MERGE] * (TURNS // FRAMES_PER_MERGE), 1]
