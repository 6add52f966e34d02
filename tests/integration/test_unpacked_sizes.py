"""The bytes of a conversation before compression, which every write knows without reading all."""

import os
from functools import partial

import pytest

from adapters.encrypted_redis import frame_reader, frame_writer
from adapters.encrypted_redis.frame_chain import Stored
from adapters.encrypted_redis.frame_reader import FrameReader, newest_messages
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import RecordKind, Sealer
from domain.model.errors import ConversationFull
from domain.model.limits import MAX_REPLY_BYTES
from ports.errors import StoredStateUnreadable
from tests.support.builders import ID, OWNER, REF, a_conversation, with_answer
from tests.support.changes import asking
from tests.support.redis_store import RING, RedisHarness

TURNS = 20
UNBOUNDED = 2**60


async def take_turns(harness: RedisHarness, turns: int, text: str) -> None:
    """As the service does it: each turn loads only the newest messages."""
    await harness.store.create(OWNER, a_conversation())
    for number in range(1, turns + 1):
        conversation = await harness.store.update(REF, asking("More?", number), last=2)
        finish = partial(with_answer, text=text, number=number)
        await harness.store.update(REF, finish, base=conversation)


async def read(harness: RedisHarness, count: int | None) -> Stored:
    sealer = Sealer(ring=KeyRing.parse(RING), random_bytes=os.urandom)
    reader = FrameReader(harness.client, ID, sealer.bound(OWNER, RecordKind.STATE, ID))
    return await reader.read(newest_messages(count))


async def test_the_newest_frame_has_the_sizes_of_all_others(harness: RedisHarness) -> None:
    await take_turns(harness, TURNS, "Hi!")
    newest, whole = await read(harness, 1), await read(harness, None)

    assert not newest.chain.is_whole
    assert newest.chain.size == whole.chain.size == sum(map(len, await harness.frames()))
    assert newest.chain.unpacked == whole.chain.unpacked
    assert whole.chain.unpacked == sum(frame.unpacked for frame in whole.chain.frames)


async def test_turns_that_compress_to_almost_nothing_are_bounded(harness: RedisHarness) -> None:
    with pytest.raises(ConversationFull):
        await take_turns(harness, TURNS, "=" * MAX_REPLY_BYTES)

    assert sum(map(len, await harness.frames())) < 10_000
    assert (await harness.store.load(REF)).counted_bytes < 3_000_000


async def test_what_an_older_release_stored_above_the_bound_is_not_read(
    harness: RedisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(frame_writer, "MAX_UNPACKED_BYTES", UNBOUNDED)
        for module in (frame_reader, frame_writer):
            older.setattr(module, "READABLE_BYTES", UNBOUNDED)
        await take_turns(harness, TURNS, "=" * MAX_REPLY_BYTES)

    for last in (None, 40):
        with pytest.raises(StoredStateUnreadable):
            await harness.store.load(REF, last=last)
    assert (await harness.store.load(REF, last=1)).messages[-1].text == "=" * MAX_REPLY_BYTES
