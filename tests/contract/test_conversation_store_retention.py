"""How long conversations are retained, and that forgetting is final."""

from datetime import timedelta

import pytest

from domain.model.conversation import Conversation, with_welcome
from domain.model.errors import ConversationGone, ConversationNotFound, TurnSuperseded
from domain.model.identifiers import TurnRef
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import TurnLogNotFound
from ports.turn_log import AppendResult, TurnLog
from tests.contract.adapters import PassTime
from tests.support.builders import (
    OWNER,
    REF,
    a_conversation,
    after_turns,
    question_id,
    texts_of,
    turn_id,
    with_question,
)
from tests.support.changes import (
    adding_message,
    answering,
    asking,
    failing,
    finishing,
    interrupting,
    settling,
)
from tests.support.clocks import NOON

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
A_SECOND = timedelta(seconds=1)
AT_ONCE = timedelta()


async def is_stored(store: ConversationStateStore) -> bool:
    try:
        await store.load(REF)
    except ConversationNotFound:
        return False
    return True


@pytest.mark.parametrize(
    ("conversation", "retention"),
    [(after_turns(1), DAY), (with_welcome(a_conversation(), question_id(), "Hi"), HOUR)],
)
async def test_a_conversation_is_retained_until_it_expires_and_no_longer(
    store: ConversationStateStore,
    pass_time: PassTime,
    conversation: Conversation,
    retention: timedelta,
) -> None:
    await store.create(OWNER, conversation)
    await pass_time(retention - A_SECOND)
    assert await is_stored(store)
    await pass_time(A_SECOND)

    assert not await is_stored(store)
    with pytest.raises(ConversationNotFound):
        await store.update(REF, adding_message("still there?"))


async def test_reading_does_not_extend_the_retention(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, after_turns(1))
    await pass_time(HOUR)
    await store.load(REF)
    await store.page(REF, None, 10)
    await pass_time(DAY - HOUR)

    assert not await is_stored(store)


async def test_opening_a_turn_restarts_the_retention(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, after_turns(1))
    await pass_time(HOUR)
    await store.update(REF, asking("And?", 2, at=NOON + HOUR))
    await pass_time(DAY - A_SECOND)
    assert await is_stored(store)
    await pass_time(A_SECOND)

    assert not await is_stored(store)


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        (answering("Hi!", at=NOON + HOUR), True),
        (settling(), False),
        (adding_message("of no turn"), False),
    ],
)
async def test_only_changes_that_restart_the_retention_do(
    store: ConversationStateStore, pass_time: PassTime, change: Change, *, restarts: bool
) -> None:
    await store.create(OWNER, with_question(a_conversation()))
    await pass_time(HOUR)
    await store.update(REF, change)
    await pass_time(DAY - A_SECOND)

    assert await is_stored(store) is restarts


async def test_the_first_turn_of_an_unused_conversation_gives_it_the_full_retention(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, a_conversation())
    await store.update(REF, asking())
    await pass_time(DAY - A_SECOND)

    assert await is_stored(store)


async def test_the_id_of_an_expired_conversation_can_be_created_again(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, after_turns(1))
    await pass_time(DAY)
    await store.create(OWNER, a_conversation(retained_since=NOON + DAY))

    assert texts_of(await store.load(REF)) == []


async def test_forgetting_deletes_state_and_log_and_can_be_repeated(
    store: ConversationStateStore, log: TurnLog
) -> None:
    await store.create(OWNER, with_question(a_conversation()))
    await store.forget(REF)
    await store.forget(REF)

    assert not await is_stored(store)
    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn_id()), 0, AT_ONCE)


@pytest.mark.parametrize("change", [adding_message("late"), finishing(), interrupting(), failing()])
async def test_nothing_restores_a_forgotten_conversation(
    store: ConversationStateStore, change: Change
) -> None:
    await store.create(OWNER, a_conversation())
    opened = await store.update(REF, asking())
    await store.forget(REF)
    for base in (None, opened):
        with pytest.raises(ConversationNotFound):
            await store.update(REF, change, base=base)

    assert not await is_stored(store)


async def test_a_turn_of_a_forgotten_conversation_never_reaches_the_one_created_after_it(
    store: ConversationStateStore, log: TurnLog
) -> None:
    await store.create(OWNER, a_conversation())
    old = await store.update(REF, asking("old"))
    assert old.turn is not None
    await store.forget(REF)
    await store.create(OWNER, with_question(a_conversation(), "new", 2))

    with pytest.raises(TurnSuperseded):
        await store.update(REF, finishing(), base=old)
    assert await log.append(REF, old.turn, []) is AppendResult.SUPERSEDED
    assert texts_of(await store.load(REF)) == ["new"]


async def test_a_repeated_create_brings_no_forgotten_conversation_back(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    created = with_question(a_conversation())
    await store.create(OWNER, created)
    await store.forget(REF)
    await pass_time(timedelta(seconds=50))
    for _ in range(2):
        with pytest.raises(ConversationGone):
            await store.create(OWNER, created)
        await store.forget(REF)

    assert not await is_stored(store)
    await store.create(OWNER, with_question(a_conversation(), "another", 2))
    assert texts_of(await store.load(REF)) == ["another"]


async def test_a_create_repeated_after_forgetting_on_a_condition_brings_nothing_back(
    store: ConversationStateStore,
) -> None:
    created = with_question(a_conversation())
    await store.create(OWNER, created)
    await store.forget_if(REF, lambda _: True)

    with pytest.raises(ConversationGone):
        await store.create(OWNER, created)


async def test_a_forgotten_turn_is_remembered_for_a_minute(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    created = with_question(a_conversation())
    await store.create(OWNER, created)
    await store.forget(REF)
    await pass_time(timedelta(seconds=61))

    await store.create(OWNER, created)

    assert texts_of(await store.load(REF)) == ["Hello?"]


@pytest.mark.parametrize("end", [finishing(), interrupting(), failing(), settling()])
async def test_a_repeated_step_changes_nothing_and_succeeds(
    store: ConversationStateStore, end: Change
) -> None:
    await store.create(OWNER, a_conversation())
    opened = await store.update(REF, asking())
    assert await store.update(REF, asking(), base=opened) == opened
    ended = await store.update(REF, end, base=opened)

    for base in (None, opened, ended):
        assert await store.update(REF, end, base=base) == ended
    assert await store.load(REF) == ended
