"""Whatever is not as it was sealed, and where, is unreadable, and is never overwritten."""

from base64 import b64encode

import pytest

from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef, Owner
from ports.errors import StoredStateUnreadable
from tests.support.builders import (
    ID,
    OTHER_ID,
    OWNER,
    REF,
    a_conversation,
    an_image,
    texts_of,
    with_question,
    with_user_message,
)
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import NEWER, RedisHarness, redis_harness, store_turns

HEADER_FIELDS = {"key id": 1, "first revision": 13, "last revision": 21, "nonce": 29, "text": 45}


async def is_unreadable(harness: RedisHarness, owner: Owner = OWNER) -> bool:
    """Whether every operation reports it, and the stored bytes stay as they are."""
    before = await harness.frames()
    for operation in (
        lambda: harness.store.load(ConversationRef(owner, ID)),
        lambda: harness.store.page(ConversationRef(owner, ID), None, 10),
        lambda: harness.store.update(
            ConversationRef(owner, ID), lambda c: with_question(c, "more", 99)
        ),
    ):
        with pytest.raises(StoredStateUnreadable):
            await operation()
    return await harness.frames() == before


@pytest.mark.parametrize("field", HEADER_FIELDS)
@pytest.mark.parametrize("at", [0, 1, -1])
async def test_a_changed_frame_is_unreadable(harness: RedisHarness, field: str, at: int) -> None:
    await store_turns(harness, 3)
    frames = await harness.frames()
    changed = bytearray(frames[at])
    changed[HEADER_FIELDS[field]] ^= 1
    frames[at] = bytes(changed)
    await harness.put(frames)

    assert await is_unreadable(harness)


@pytest.mark.parametrize("bit", range(0, 8, 3))
async def test_a_changed_tag_is_unreadable(harness: RedisHarness, bit: int) -> None:
    await store_turns(harness, 2)
    frames = await harness.frames()
    frames[-1] = frames[-1][:-1] + bytes([frames[-1][-1] ^ (1 << bit)])
    await harness.put(frames)

    assert await is_unreadable(harness)


@pytest.mark.parametrize("length", [0, 5, 28, 40, 60])
async def test_a_truncated_frame_is_unreadable(harness: RedisHarness, length: int) -> None:
    await store_turns(harness, 2)
    frames = await harness.frames()
    await harness.put([*frames[:-1], frames[-1][:length]])

    assert await is_unreadable(harness)


@pytest.mark.parametrize("missing", [0, 1, 2])
async def test_a_missing_frame_before_the_last_is_unreadable(
    harness: RedisHarness, missing: int
) -> None:
    await store_turns(harness, 3)
    frames = await harness.frames()
    del frames[missing]
    await harness.put(frames)

    assert await is_unreadable(harness)


async def test_frames_in_another_order_are_unreadable(harness: RedisHarness) -> None:
    await store_turns(harness, 3)
    first, second, *rest = await harness.frames()
    await harness.put([second, first, *rest])

    assert await is_unreadable(harness)


async def test_a_frame_of_another_conversation_of_the_same_owner_is_unreadable(
    harness: RedisHarness,
) -> None:
    await store_turns(harness, 2)
    await harness.store.create(OWNER, a_conversation(id=OTHER_ID))
    foreign = (await harness.frames(OTHER_ID))[0]
    await harness.put([*(await harness.frames()), foreign])

    assert await is_unreadable(harness)


@pytest.mark.parametrize("plain", [b"", b'{"role": "user", "content": "hello"}', b"x" * 200])
async def test_added_plaintext_is_unreadable(harness: RedisHarness, plain: bytes) -> None:
    await store_turns(harness, 2)
    await harness.put([*(await harness.frames()), plain])

    assert await is_unreadable(harness)


async def test_plaintext_instead_of_all_frames_is_unreadable(harness: RedisHarness) -> None:
    await harness.put([b'{"messages": []}'])

    assert await is_unreadable(harness)


async def test_a_value_of_another_type_is_unreadable(harness: RedisHarness) -> None:
    await harness.redis.set(f"conversation:state:{ID}", '{"messages": []}', px=60_000)

    with pytest.raises(StoredStateUnreadable):
        await harness.store.load(REF)
    with pytest.raises(StoredStateUnreadable):
        await harness.store.create(OWNER, a_conversation())


async def test_a_conversation_whose_key_is_not_in_the_ring_is_unreadable(
    harness: RedisHarness, shared_server: RedisProcess
) -> None:
    await store_turns(harness, 2)
    for ring in (NEWER, NEWER.replace("second", "first")):
        async with redis_harness(shared_server.url, ring) as other:
            assert await is_unreadable(other)


async def test_an_only_frame_with_a_changed_owner_tag_is_not_found(harness: RedisHarness) -> None:
    await harness.store.create(OWNER, a_conversation())
    frame = bytearray((await harness.frames())[0])
    frame[6] ^= 1
    await harness.put([bytes(frame)])

    with pytest.raises(ConversationNotFound):
        await harness.store.load(REF)
    assert await harness.frames() == [bytes(frame)]


async def test_a_conversation_moved_to_another_key_is_not_found_there(
    harness: RedisHarness,
) -> None:
    await store_turns(harness, 2)
    await harness.put(await harness.frames(), OTHER_ID)

    with pytest.raises(ConversationNotFound):
        await harness.store.load(ConversationRef(OWNER, OTHER_ID))


async def test_a_conversation_without_its_last_frame_is_an_older_version_of_it(
    harness: RedisHarness,
) -> None:
    await store_turns(harness, 2)
    await harness.put((await harness.frames())[:-1])

    assert texts_of(await harness.store.load(REF)) == ["question 1", "answer 1"]


async def test_an_image_is_stored_sealed(harness: RedisHarness) -> None:
    image = an_image(5_000)
    await harness.store.create(OWNER, with_user_message(a_conversation(), parts=(image,)))
    [frame] = await harness.frames()

    assert len(frame) > 5_000
    for content in (image.data[8:40], b64encode(image.data)[12:40], b"image/png"):
        assert content not in frame
