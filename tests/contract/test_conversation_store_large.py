"""Everything that was stored can be read, however large; anything larger is refused."""

from contextlib import suppress

import pytest

from domain.model.errors import ConversationTooLarge
from domain.model.limits import MAX_REPLY_BYTES
from ports.conversation_store import ConversationStateStore
from tests.support.builders import OWNER, REF, a_conversation, texts_of, with_question
from tests.support.changes import answering, asking

# It compresses to almost nothing, so it passes every limit on stored bytes.
WIDE = "=" * 2 * MAX_REPLY_BYTES


async def test_acknowledged_turns_can_be_read(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    texts: list[str] = []
    with suppress(ConversationTooLarge):
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
    with suppress(ConversationTooLarge):
        await store.update(REF, answering("=" * size))
        texts = ["Hello?", "=" * size]

    assert texts_of(await store.load(REF)) == texts


async def test_a_turn_that_was_opened_can_be_ended(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    sizes = (400_000, 900_000, 1_100_000, 3_900_000)
    for number, size in enumerate(sizes, 1):
        with suppress(ConversationTooLarge):
            await store.update(REF, asking("=" * size, number))
            await store.update(REF, answering("-" * MAX_REPLY_BYTES, number))

    texts = texts_of(await store.load(REF))
    assert len(texts) % 2 == 0
    assert [len(text) for text in texts[1::2]] == [MAX_REPLY_BYTES] * (len(texts) // 2)
