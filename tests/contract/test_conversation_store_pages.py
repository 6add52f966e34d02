"""Reading only a part of a conversation."""

import pytest
from attrs import evolve

from domain.model.conversation import WORKING_MEMORY, Conversation
from ports.conversation_store import ConversationStateStore
from tests.support.builders import OWNER, REF, a_conversation, texts_of
from tests.support.changes import answering, asking

TURNS = 30
ALL = [text for n in range(1, TURNS + 1) for text in (f"question {n}", f"answer {n}")]


@pytest.fixture
async def long(store: ConversationStateStore) -> ConversationStateStore:
    """A store with one conversation of thirty turns."""
    await store.create(OWNER, a_conversation())
    for number in range(1, TURNS + 1):
        opened = await store.update(REF, asking(f"question {number}", number), last=20)
        await store.update(REF, answering(f"answer {number}", number), base=opened)
    return store


async def test_a_long_conversation_is_loaded_completely(long: ConversationStateStore) -> None:
    assert texts_of(await long.load(REF)) == ALL


@pytest.mark.parametrize("last", [1, 2, 7, 16, 59, 60, 61, 200])
async def test_the_newest_messages_are_loaded_and_the_others_are_counted(
    long: ConversationStateStore, last: int
) -> None:
    tail = await long.load(REF, last)

    assert len(tail.messages) >= min(last, len(ALL))
    assert texts_of(tail) == ALL[tail.earlier :]


@pytest.mark.parametrize("instructions_from", [None, 9, 45])
@pytest.mark.parametrize("first", [1, 2, 9, 17, 33, 41, 49, 59, 60, 61])
async def test_the_working_memory_is_loaded_with_the_instructions_before_it(
    long: ConversationStateStore, first: int, instructions_from: int | None
) -> None:
    seen = min(first, instructions_from or first)

    def forget(stored: Conversation) -> Conversation:
        return evolve(stored, working_memory_from=first, instructions_from=instructions_from)

    def check(stored: Conversation) -> Conversation:
        assert texts_of(stored) == ALL[stored.earlier :]
        assert stored.earlier < min(seen, len(ALL))
        return evolve(stored, locale="fi")

    await long.update(REF, forget, last=1)
    tail = await long.load(REF, WORKING_MEMORY)
    changed = await long.update(REF, check, last=WORKING_MEMORY)

    assert texts_of(tail) == ALL[tail.earlier :]
    assert seen - 20 <= tail.earlier < min(seen, len(ALL))
    assert changed.earlier < min(seen, len(ALL))
    assert texts_of(await long.load(REF)) == ALL


@pytest.mark.parametrize("limit", [1, 3, 16, 59, 60, 100])
async def test_pages_lead_back_to_the_beginning_without_a_gap(
    long: ConversationStateStore, limit: int
) -> None:
    found: list[str] = []
    before: int | None = None
    while True:
        page = await long.page(REF, before, limit)
        assert 1 <= len(page.messages) <= limit
        found = [message.text for message in page.messages] + found
        if page.next is None:
            break
        before = page.next

    assert found == ALL


async def test_the_page_before_the_first_message_is_empty(long: ConversationStateStore) -> None:
    page = await long.page(REF, 1, 10)

    assert (page.messages, page.next) == ((), None)
