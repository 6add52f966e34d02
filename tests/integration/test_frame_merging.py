"""How frames are merged, also when only the newest messages are loaded."""

import os
from functools import partial

from adapters.encrypted_redis.frame_reader import FrameReader, newest_messages
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import RecordKind, Sealer, header_of
from domain.service.metadata import with_metadata
from domain.service.turn_lifecycle import add_user_message
from tests.support.builders import (
    ID,
    OWNER,
    REF,
    a_conversation,
    a_new_turn,
    an_image,
    question_id,
    texts_of,
    with_answer,
    with_question,
)
from tests.support.redis_store import RING, RedisHarness

TURNS = 40
FRAMES_PER_MERGE = 8


async def take_turns_on_the_tail(harness: RedisHarness) -> None:
    """As the service does it: each turn loads only the newest messages."""
    await harness.store.create(OWNER, a_conversation())
    for number in range(1, TURNS + 1):
        begin = partial(with_question, text=f"question {number}", number=number)
        conversation = await harness.store.update(REF, begin, last=2)
        finish = partial(with_answer, text=f"answer {number}", number=number)
        await harness.store.update(REF, finish, base=conversation)


async def test_eight_frames_are_merged_even_if_fewer_messages_are_loaded(
    harness: RedisHarness,
) -> None:
    await take_turns_on_the_tail(harness)

    assert len(await harness.frames()) <= TURNS // FRAMES_PER_MERGE + FRAMES_PER_MERGE
    assert len(texts_of(await harness.store.load(REF))) == 2 * TURNS


async def test_the_newest_frames_give_the_size_of_all_frames(harness: RedisHarness) -> None:
    await take_turns_on_the_tail(harness)
    sealer = Sealer(ring=KeyRing.parse(RING), random_bytes=os.urandom)
    bound = sealer.bound(OWNER, RecordKind.STATE, ID)
    stored = await FrameReader(harness.client, ID, bound).read(newest_messages(1))

    assert not stored.chain.is_whole
    assert stored.chain.size == sum(map(len, await harness.frames()))


async def test_a_merged_frame_is_not_merged_again(harness: RedisHarness) -> None:
    """Not even if it was replaced since, because the metadata changed."""
    await harness.store.create(OWNER, a_conversation())
    for number in range(1, TURNS + 1):
        await harness.store.update(REF, partial(with_question, text="Hello?", number=number))
        await harness.store.update(REF, partial(with_answer, text="Hi!", number=number))
        await harness.store.update(REF, partial(with_metadata, metadata={"n": str(number)}))

    # The empty conversation was a frame of its own.
    headers = [header_of(frame) for frame in await harness.frames()]
    spans = [header.last - header.first + 1 for header in headers]
    assert spans == [*[FRAMES_PER_MERGE] * (TURNS // FRAMES_PER_MERGE), 1]


async def test_an_image_is_sealed_only_with_its_own_turn(harness: RedisHarness) -> None:
    await harness.store.create(OWNER, a_conversation())
    with_image = partial(
        add_user_message,
        new_turn=a_new_turn(),
        message_id=question_id(),
        parts=(an_image(100_000),),
    )
    await harness.store.update(REF, with_image, last=2)
    await harness.store.update(REF, partial(with_answer, text="A cat."))
    stored = (await harness.frames())[-1]
    for number in range(2, TURNS):
        begin = partial(with_question, text=f"question {number}", number=number)
        conversation = await harness.store.update(REF, begin, last=2)
        finish = partial(with_answer, text=f"answer {number}", number=number)
        await harness.store.update(REF, finish, base=conversation)

    frames = await harness.frames()
    assert stored in frames
    assert len(frames) <= 2 + TURNS // FRAMES_PER_MERGE + FRAMES_PER_MERGE


async def test_a_small_image_is_merged(harness: RedisHarness) -> None:
    await harness.store.create(OWNER, a_conversation())
    for number in range(1, 8):
        with_image = partial(
            add_user_message,
            new_turn=a_new_turn(number),
            message_id=question_id(number),
            parts=(an_image(1_000 + number),),
        )
        await harness.store.update(REF, with_image)
        await harness.store.update(REF, partial(with_answer, text="Yes.", number=number))

    assert len(await harness.frames()) == 1
    assert (await harness.store.load(REF)).image_bytes == 7_028
