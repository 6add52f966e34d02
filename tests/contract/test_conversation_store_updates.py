"""Concurrent updates: none is lost."""

import asyncio
import hashlib

import pytest
from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.errors import (
    ConversationFull,
    ConversationNotFound,
    InvalidInput,
    OlderMessagesNeeded,
    TurnSuperseded,
)
from domain.model.identifiers import ConversationRef
from ports.conversation_store import ConversationStateStore
from tests.support.builders import (
    ID,
    OTHER_ID,
    OWNER,
    REF,
    STRANGER,
    a_conversation,
    after_turns,
    texts_of,
    with_question,
)
from tests.support.changes import adding_message, answering, asking, unchanged


async def test_twenty_writers_at_once_lose_no_message(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation(id=ID))
    texts = [f"message {n}" for n in range(20)]

    await asyncio.gather(*(store.update(REF, adding_message(text)) for text in texts))

    assert sorted(texts_of(await store.load(REF))) == sorted(texts)


async def test_an_update_returns_what_is_stored(store: ConversationStateStore) -> None:
    await store.create(OWNER, after_turns(1))
    changed = await store.update(REF, asking("And?", 2))

    assert changed == with_question(after_turns(1), "And?", 2)
    assert await store.load(REF) == changed


async def test_an_outdated_base_loses_no_messages(
    store: ConversationStateStore,
) -> None:
    await store.create(OWNER, a_conversation())
    base = await store.update(REF, asking())
    await store.update(REF, adding_message("in between"))

    await store.update(REF, adding_message("late"), base=base)

    assert texts_of(await store.load(REF)) == ["Hello?", "in between", "late"]


async def test_a_change_while_a_turn_is_open_outlasts_the_turn(
    store: ConversationStateStore,
) -> None:
    await store.create(OWNER, a_conversation(locale="en"))
    base = await store.update(REF, asking(page_context="{}"))
    await store.update(REF, lambda current: evolve(current, locale="fi", metadata={"a": "b"}))

    await store.update(REF, answering(), base=base)
    after = await store.load(REF)

    assert (after.locale, after.metadata) == ("fi", {"a": "b"})
    assert [message.page_context for message in after.messages] == ["{}", None]


async def test_an_error_of_the_change_is_passed_on_and_changes_nothing(
    store: ConversationStateStore,
) -> None:
    def refusing(_: Conversation) -> Conversation:
        raise InvalidInput("message_empty", "The message is empty.")

    await store.create(OWNER, after_turns(1))
    with pytest.raises(InvalidInput):
        await store.update(REF, refusing)

    assert await store.load(REF) == after_turns(1)


async def test_a_change_that_changes_nothing_succeeds(store: ConversationStateStore) -> None:
    await store.create(OWNER, after_turns(1))

    assert await store.update(REF, unchanged) == after_turns(1)


async def test_a_change_that_needs_older_messages_gets_all(store: ConversationStateStore) -> None:
    seen: list[int] = []

    def needing(conversation: Conversation) -> Conversation:
        seen.append(conversation.earlier)
        if conversation.earlier:
            raise OlderMessagesNeeded
        return evolve(conversation, messages=(), next_number=conversation.next_number)

    await store.create(OWNER, a_conversation())
    for number in range(1, 31):
        await store.update(REF, asking(f"question {number}", number))
        await store.update(REF, answering(f"answer {number}", number))
    await store.update(REF, needing, last=2)

    assert seen[0] > 0
    assert seen[-1] == 0
    assert texts_of(await store.load(REF)) == []


async def test_a_change_that_still_needs_older_messages_after_getting_all_fails(
    store: ConversationStateStore,
) -> None:
    def needing_more(_: Conversation) -> Conversation:
        raise OlderMessagesNeeded

    await store.create(OWNER, after_turns(2))
    with pytest.raises(OlderMessagesNeeded):
        await store.update(REF, needing_more, last=1)


async def test_a_conversation_at_its_size_limit_can_end_its_turn_but_not_open_another(
    store: ConversationStateStore,
) -> None:
    # Hexadecimal digests hardly compress.
    digits = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(10_000))
    await store.create(OWNER, a_conversation())
    await store.update(REF, asking())
    await store.update(REF, answering(digits))

    with pytest.raises(ConversationFull):
        await store.update(REF, asking("And?", 2))
    assert texts_of(await store.load(REF)) == ["Hello?", digits]


async def test_a_step_of_a_superseded_turn_changes_nothing(store: ConversationStateStore) -> None:
    await store.create(OWNER, after_turns(2))
    with pytest.raises(TurnSuperseded):
        await store.update(REF, answering("late", 1))

    assert await store.load(REF) == after_turns(2)


async def test_a_base_of_another_owner_gives_no_access(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    conversation = await store.load(REF)
    with pytest.raises(ConversationNotFound):
        await store.update(
            ConversationRef(STRANGER, ID), adding_message("mine now"), base=conversation
        )

    assert texts_of(await store.load(REF)) == []


async def test_a_base_of_another_conversation_is_not_used(
    store: ConversationStateStore,
) -> None:
    await store.create(OWNER, a_conversation())
    await store.create(OWNER, a_conversation(id=OTHER_ID))
    conversation = await store.load(REF)
    await store.update(ConversationRef(OWNER, OTHER_ID), adding_message("here"), base=conversation)

    assert texts_of(await store.load(REF)) == []
    assert texts_of(await store.load(ConversationRef(OWNER, OTHER_ID))) == ["here"]
