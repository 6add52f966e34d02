"""What was acknowledged can be read, however large it is: else it is refused and not stored."""

from contextlib import suppress

import pytest

from domain.model.errors import ConversationTooLarge
from domain.model.limits import MAX_REPLY_BYTES
from ports.conversation_store import ConversationStateStore
from tests.support.builders import OWNER, REF, a_conversation, texts_of, with_question
from tests.support.changes import answering, asking

# What compresses to nothing gets past every bound on what is stored.
WIDE = "=" * 2 * MAX_REPLY_BYTES


async def test_turns_that_were_acknowledged_are_read(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    said: list[str] = []
    with suppress(ConversationTooLarge):
        for number in range(1, 18):
            await store.update(REF, asking("More?", number))
            said += ["More?", ""]
            await store.update(REF, answering(WIDE, number))
            said[-1] = WIDE

    assert said
    assert texts_of(await store.load(REF)) == said


@pytest.mark.parametrize("size", [3_900_000, 4_100_000, 9_000_000])
async def test_one_turn_is_refused_or_read(store: ConversationStateStore, size: int) -> None:
    await store.create(OWNER, with_question(a_conversation()))
    harness = ["Hello?"]
    with suppress(ConversationTooLarge):
        await store.update(REF, answering("=" * size))
        harness = ["Hello?", "=" * size]

    assert texts_of(await store.load(REF)) == harness


async def test_a_turn_that_is_opened_can_be_ended(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    sizes = (400_000, 900_000, 1_100_000, 3_900_000)
    for number, size in enumerate(sizes, 1):
        with suppress(ConversationTooLarge):
            await store.update(REF, asking("=" * size, number))
            await store.update(REF, answering("-" * MAX_REPLY_BYTES, number))

    said = texts_of(await store.load(REF))
    assert len(said) % 2 == 0
    assert [len(text) for text in said[1::2]] == [MAX_REPLY_BYTES] * (len(said) // 2)
