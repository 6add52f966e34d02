"""Everything that was stored can be read, however large; anything larger is refused."""

from contextlib import suppress
from functools import partial

import pytest
from attrs import evolve

from domain.model.conversation import truncated
from domain.model.errors import ConversationFull, ConversationNotFound
from domain.model.limits import MAX_REPLY_BYTES, MAX_UNPACKED_BYTES
from domain.model.message import StepMark
from ports.conversation_store import ConversationStateStore
from tests.support.builders import (
    OWNER,
    REF,
    a_conversation,
    texts_of,
    with_question,
    with_user_message,
)
from tests.support.changes import adding_message, answering, asking

# It compresses to almost nothing, so it passes every limit on stored bytes.
WIDE = "=" * 2 * MAX_REPLY_BYTES


async def test_acknowledged_turns_can_be_read(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    texts: list[str] = []
    with suppress(ConversationFull):
        for number in range(1, 18):
            await store.update(REF, asking("More?", number))
            texts += ["More?", ""]
            await store.update(REF, answering(WIDE, number))
            texts[-1] = WIDE

    assert texts
    assert texts_of(await store.load(REF)) == texts


@pytest.mark.parametrize("size", [3_900_000, 4_100_000, 9_000_000])
async def test_a_large_turn_is_either_refused_or_can_be_read(
    store: ConversationStateStore, size: int
) -> None:
    await store.create(OWNER, with_question(a_conversation()))
    texts = ["Hello?"]
    with suppress(ConversationFull):
        await store.update(REF, answering("=" * size))
        texts = ["Hello?", "=" * size]

    assert texts_of(await store.load(REF)) == texts


async def test_a_turn_that_was_opened_can_be_ended(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    sizes = (400_000, 900_000, 1_100_000, 3_900_000)
    for number, size in enumerate(sizes, 1):
        with suppress(ConversationFull):
            await store.update(REF, asking("=" * size, number))
            await store.update(REF, answering("-" * MAX_REPLY_BYTES, number))

    texts = texts_of(await store.load(REF))
    assert len(texts) % 2 == 0
    assert [len(text) for text in texts[1::2]] == [MAX_REPLY_BYTES] * (len(texts) // 2)


async def test_what_is_added_is_bounded_however_small_it_is_stored(
    store: ConversationStateStore,
) -> None:
    await fill(store)

    assert (await store.load(REF)).counted_bytes <= MAX_UNPACKED_BYTES


async def test_parts_without_text_are_bounded_too(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    add = partial(with_user_message, parts=(StepMark(),) * 20_000)
    with suppress(ConversationFull):
        for _ in range(10):
            await store.update(REF, add, last=1)

    assert (await store.load(REF)).counted_bytes <= MAX_UNPACKED_BYTES


async def test_a_new_conversation_is_bounded(store: ConversationStateStore) -> None:
    large = with_user_message(a_conversation(), "=" * MAX_UNPACKED_BYTES)
    with pytest.raises(ConversationFull):
        await store.create(OWNER, large)

    with pytest.raises(ConversationNotFound):
        await store.load(REF)


async def test_metadata_of_a_full_conversation_cannot_grow(store: ConversationStateStore) -> None:
    await fill(store)
    longer = dict.fromkeys("abcd", "=" * 500)
    with pytest.raises(ConversationFull):
        await store.update(REF, lambda stored: evolve(stored, metadata=longer), last=1)

    assert (await store.load(REF)).metadata == {}


async def test_a_full_conversation_can_shrink_and_then_grow_again(
    store: ConversationStateStore,
) -> None:
    await fill(store)
    with pytest.raises(ConversationFull):
        await store.update(REF, asking())
    await store.update(REF, lambda stored: truncated(stored, 2))
    await store.update(REF, asking("Hello?"))
    await store.update(REF, answering("Hi!"))

    assert texts_of(await store.load(REF))[-2:] == ["Hello?", "Hi!"]


async def test_a_turn_of_a_full_conversation_can_be_ended(store: ConversationStateStore) -> None:
    await store.create(OWNER, with_question(a_conversation()))
    await add_until_full(store)
    await store.update(REF, answering("-" * MAX_REPLY_BYTES))

    assert (await store.load(REF)).messages[-1].text == "-" * MAX_REPLY_BYTES


async def fill(store: ConversationStateStore) -> None:
    """Create a conversation to which no message can be added."""
    await store.create(OWNER, a_conversation())
    await add_until_full(store)


async def add_until_full(store: ConversationStateStore) -> None:
    size = 100_000
    while size:
        try:
            await store.update(REF, adding_message("=" * size), last=1)
        except ConversationFull:
            size //= 2
