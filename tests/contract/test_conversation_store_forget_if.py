"""Forgetting on a condition: what the condition was not asked about is not forgotten."""

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


async def test_what_is_wanted_is_forgotten_with_its_log(
    store: ConversationStateStore, log: TurnLog
) -> None:
    await store.create(OWNER, with_question(after_turns(1), "And?", 2))
    await store.forget_if(REF, lambda known: known.messages[-1].text == "And?")

    with pytest.raises(ConversationNotFound):
        await store.load(REF)
    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn_id(2)), 0, AT_ONCE)


async def test_what_is_not_wanted_stays(store: ConversationStateStore) -> None:
    await store.create(OWNER, after_turns(2))
    await store.forget_if(REF, lambda known: not known.messages)

    assert await store.load(REF) == after_turns(2)


async def test_nothing_is_asked_about_what_is_absent_or_anothers(
    store: ConversationStateStore,
) -> None:
    await store.create(OWNER, after_turns(1))
    await store.forget_if(ConversationRef(STRANGER, ID), always)
    await store.forget_if(ConversationRef(OWNER, OTHER_ID), always)

    assert await store.load(REF) == after_turns(1)
