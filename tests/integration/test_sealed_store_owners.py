"""Forgetting damaged conversations, and resealing after a key rotation."""

from datetime import timedelta

import pytest

from adapters.sealing.sealer import header_of
from domain.model.identifiers import ConversationRef
from ports.errors import StoredStateUnreadable
from tests.support.builders import (
    ID,
    REF,
    STRANGER,
    texts_of,
    with_question,
)
from tests.support.changes import asking, settling
from tests.support.clocks import NOON
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import NEWER, RING, RedisHarness, redis_harness, store_turns


async def test_the_owner_can_forget_a_damaged_conversation(harness: RedisHarness) -> None:
    await store_turns(harness, 2)
    frames = await harness.frames()
    await harness.put([*frames[:-1], frames[-1][:-1]])

    await harness.store.forget(REF)

    assert await harness.frames() == []


async def test_a_stranger_cannot_forget_a_damaged_conversation(harness: RedisHarness) -> None:
    await store_turns(harness, 2)
    frames = await harness.frames()
    await harness.put([*frames[:-1], frames[-1][:10]])

    with pytest.raises(StoredStateUnreadable):
        await harness.store.forget(ConversationRef(STRANGER, ID))
    assert len(await harness.frames()) == len(frames)


async def test_a_commit_that_restarts_the_retention_leaves_no_frame_under_an_older_key(
    harness: RedisHarness, shared_server: RedisProcess
) -> None:
    await store_turns(harness, 70)
    before = await harness.store.load(REF)
    async with redis_harness(shared_server.url, f"{NEWER},{RING}") as rotated:
        later = NOON + timedelta(hours=1)
        await rotated.store.update(REF, lambda c: with_question(c, "again", 71, at=later), last=4)
        frames = await rotated.frames()
        after = await rotated.store.load(REF)

    assert len({header_of(frame).key_id for frame in frames}) == 1
    assert texts_of(after) == [*texts_of(before), "again"]
    async with redis_harness(shared_server.url, NEWER) as newest:
        assert texts_of(await newest.store.load(REF)) == texts_of(after)


async def test_a_frame_under_an_older_key_is_resealed_even_if_it_was_not_unsealed(
    harness: RedisHarness, shared_server: RedisProcess
) -> None:
    """Settling a turn does not restart the retention, so it leaves older frames under their key."""
    await store_turns(harness, 22)
    await harness.store.update(REF, asking("unanswered", 23))
    async with redis_harness(shared_server.url, f"{NEWER},{RING}") as rotated:
        await rotated.store.update(REF, settling(23))
        mixed = {header_of(frame).key_id for frame in await rotated.frames()}
        base = await rotated.store.load(REF, last=1)
        begin = asking("again", 24, at=NOON + timedelta(hours=1))
        await rotated.store.update(REF, begin, base=base, last=1)
        frames = await rotated.frames()

    assert len(mixed) == 2
    assert len({header_of(frame).key_id for frame in frames}) == 1
