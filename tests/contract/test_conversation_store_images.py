"""Images are stored with their messages, and have a limit of their own."""

from contextlib import suppress
from functools import partial

import pytest

from domain.model.conversation import Conversation, truncated
from domain.model.errors import ConversationFull, ConversationNotFound
from domain.model.limits import (
    MAX_CONVERSATION_BYTES,
    MAX_CONVERSATION_IMAGE_BYTES,
    MAX_IMAGE_BYTES,
)
from domain.model.message import Part, TextPart
from domain.service.turn_lifecycle import add_user_message
from ports.conversation_store import ConversationStateStore
from tests.support.builders import (
    OWNER,
    REF,
    a_conversation,
    a_new_turn,
    an_image,
    question_id,
    texts_of,
    with_user_message,
)
from tests.support.changes import answering, asking


def with_images(
    conversation: Conversation, number: int = 1, *, parts: tuple[Part, ...]
) -> Conversation:
    """The conversation with a turn opened by these parts."""
    return add_user_message(conversation, a_new_turn(number), question_id(number), parts)


async def test_an_image_is_read_as_it_was_stored(store: ConversationStateStore) -> None:
    parts = (TextPart("What is"), an_image(300_000), TextPart("this?"))
    await store.create(OWNER, a_conversation())
    await store.update(REF, partial(with_images, parts=parts))
    await store.update(REF, answering("A cat."))

    assert (await store.load(REF)).messages[0].parts == parts
    assert (await store.page(REF, None, 5)).messages[0].parts == parts


async def test_images_survive_later_turns(store: ConversationStateStore) -> None:
    images = {3: an_image(200), 5: an_image(700_000), 17: an_image(40_000), 18: an_image(5_000)}
    await store.create(OWNER, a_conversation())
    for number in range(1, 30):
        image = (images[number],) if number in images else ()
        parts = (TextPart(f"question {number}"), *image)
        asking_with_image = partial(with_images, number=number, parts=parts)
        conversation = await store.update(REF, asking_with_image, last=2)
        await store.update(REF, answering("Yes.", number), base=conversation)

    messages = (await store.load(REF)).messages
    assert {message.turn: message.parts[1] for message in messages if message.parts[1:]} == images


async def test_a_conversation_holds_several_large_images(store: ConversationStateStore) -> None:
    count = MAX_CONVERSATION_IMAGE_BYTES // MAX_IMAGE_BYTES
    await store.create(OWNER, a_conversation())
    for number in range(1, count + 1):
        await store.update(
            REF, partial(with_images, number=number, parts=(an_image(MAX_IMAGE_BYTES),))
        )
        await store.update(REF, answering("Yes.", number))

    with pytest.raises(ConversationFull):
        await store.update(REF, partial(with_images, number=count + 1, parts=(an_image(),)))
    assert (await store.load(REF)).image_bytes == MAX_CONVERSATION_IMAGE_BYTES


async def test_a_conversation_full_of_images_accepts_text(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    await add_images_until_full(store)
    await store.update(REF, asking("Hello?"))
    await store.update(REF, answering("Hi!"))

    assert texts_of(await store.load(REF))[-2:] == ["Hello?", "Hi!"]


async def test_images_leave_the_limit_on_text_unchanged(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    await add_images_until_full(store)
    size = MAX_CONVERSATION_BYTES
    with suppress(ConversationFull):
        for number in range(1, 100):
            text = an_image(size // 8 + number).data[8:].hex()
            await store.update(REF, partial(with_user_message, text=text, id=question_id(number)))

    texts = texts_of(await store.load(REF))
    # One of the stores compresses it to a little more than half.
    assert size / 2 < sum(map(len, texts)) < 2 * size


async def test_a_deleted_image_makes_room(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    await add_images_until_full(store)
    with pytest.raises(ConversationFull):
        await store.update(REF, partial(with_user_message, parts=(an_image(2_000_000),)))
    await store.update(REF, lambda stored: truncated(stored, 2))
    await store.update(REF, partial(with_user_message, parts=(an_image(2_000_000),)))

    assert (await store.load(REF)).messages[-1].parts == (an_image(2_000_000),)


async def test_a_new_conversation_is_bounded_too(store: ConversationStateStore) -> None:
    parts = (an_image(MAX_CONVERSATION_IMAGE_BYTES), an_image())
    with pytest.raises(ConversationFull):
        await store.create(OWNER, with_user_message(a_conversation(), parts=parts))

    with pytest.raises(ConversationNotFound):
        await store.load(REF)


async def add_images_until_full(store: ConversationStateStore) -> None:
    for size in (1_999_999, 2_000_000, 2_000_001):
        await store.update(REF, partial(with_user_message, parts=(an_image(size),)), last=1)
