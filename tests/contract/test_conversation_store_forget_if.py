"""Conditional forgetting: a conversation is forgotten only if the predicate holds for it."""

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef, TurnRef
from ports.conversation_store import ConversationStateStore
from ports.errors import TurnLogNotFound
from ports.turn_log import TurnLog
from tests.support.builders import (
    AT_ONCE,
    ID,
    OTHER_ID,
    OWNER,
    REF,
    STRANGER,
    after_turns,
    turn_id,
    with_question,
)


def always(_: Conversation) -> bool:
    return True


async def test_a_conversation_is_forgotten_with_its_log_if_the_predicate_is_true(
    store: ConversationStateStore, log: TurnLog
) -> None:
    await store.create(OWNER, with_question(after_turns(1), "And?", 2))
    await store.forget_if(REF, lambda conversation: conversation.messages[-1].text == "And?")

    with pytest.raises(ConversationNotFound):
        await store.load(REF)
    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn_id(2)), 0, AT_ONCE)


async def test_a_conversation_is_kept_if_the_predicate_is_false(
    store: ConversationStateStore,
) -> None:
    await store.create(OWNER, after_turns(2))
    await store.forget_if(REF, lambda conversation: not conversation.messages)

    assert await store.load(REF) == after_turns(2)


async def test_the_predicate_is_not_called_for_missing_or_other_owners_conversations(
    store: ConversationStateStore,
) -> None:
    await store.create(OWNER, after_turns(1))
    await store.forget_if(ConversationRef(STRANGER, ID), always)
    await store.forget_if(ConversationRef(OWNER, OTHER_ID), always)

    assert await store.load(REF) == after_turns(1)
