"""A lost log is opened again, as long as its turn is still open in the conversation."""

from datetime import timedelta

import pytest

from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.turn import Turn
from ports.conversation_store import ConversationStateStore
from ports.errors import TurnLogNotFound
from ports.turn_log import AppendResult, TurnLog
from tests.contract.adapters import PassTime
from tests.support.builders import (
    AT_ONCE,
    ID,
    OWNER,
    REF,
    STRANGER,
    a_conversation,
    batch_of,
    numbered,
    turn_id,
    turn_of,
    with_question,
)
from tests.support.changes import asking, finishing, interrupting

TOO_LONG = timedelta(minutes=11)


@pytest.fixture
async def turn(store: ConversationStateStore, log: TurnLog, pass_time: PassTime) -> Turn:
    """An open turn whose log was lost; the conversation is still there."""
    conversation = with_question(a_conversation())
    await store.create(OWNER, conversation)
    await log.append(REF, turn_of(conversation), numbered("lost"))
    await pass_time(TOO_LONG)
    return turn_of(conversation)


async def is_logged(log: TurnLog, turn: Turn) -> bool:
    try:
        await log.read(TurnRef(REF, turn.id), 0, AT_ONCE)
    except TurnLogNotFound:
        return False
    return True


async def test_a_lost_log_is_opened_again_and_takes_all_pieces_again(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    assert await log.append(REF, turn, numbered("more", first=2)) is AppendResult.GONE
    assert await store.ensure_log(TurnRef(REF, turn.id)) is True
    assert await log.append(REF, turn, numbered("lost", "more")) is AppendResult.CONTINUE

    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("lost", "more")


async def test_an_existing_log_is_not_changed(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    await store.ensure_log(TurnRef(REF, turn.id))
    await log.append(REF, turn, numbered("kept"))
    await log.stop(TurnRef(REF, turn.id))

    assert await store.ensure_log(TurnRef(REF, turn.id)) is True
    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("kept")
    assert await log.append(REF, turn, []) is AppendResult.STOPPED


async def test_no_log_is_opened_for_a_turn_that_has_ended(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    await store.update(REF, finishing())

    assert await store.ensure_log(TurnRef(REF, turn.id)) is False
    assert not await is_logged(log, turn)


async def test_no_log_is_opened_for_a_superseded_turn(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    await store.update(REF, interrupting())
    newer = turn_of(await store.update(REF, asking("And?", 2)))
    await log.append(REF, newer, numbered("new"))

    assert await store.ensure_log(TurnRef(REF, turn.id)) is False
    assert await log.read(TurnRef(REF, newer.id), 0, AT_ONCE) == batch_of("new")


async def test_no_log_is_opened_for_a_forgotten_conversation(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    await store.forget(REF)

    assert await store.ensure_log(TurnRef(REF, turn.id)) is False
    assert not await is_logged(log, turn)


async def test_no_log_is_opened_for_another_owner_or_an_unknown_turn(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    assert await store.ensure_log(TurnRef(ConversationRef(STRANGER, ID), turn.id)) is False
    assert await store.ensure_log(TurnRef(REF, turn_id(9))) is False
    assert not await is_logged(log, turn)
