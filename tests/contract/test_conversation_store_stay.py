"""How long conversations stay, and that forgetting is for good."""

from datetime import timedelta

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, TurnSuperseded
from domain.model.identifiers import TurnRef
from domain.service.turn_lifecycle import with_welcome
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
    answering,
    asking,
    failing,
    finishing,
    hearing,
    interrupting,
    settling,
)
from tests.support.clocks import NOON

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
A_SECOND = timedelta(seconds=1)
AT_ONCE = timedelta()


async def is_there(store: ConversationStateStore) -> bool:
    try:
        await store.load(REF)
    except ConversationNotFound:
        return False
    return True


@pytest.mark.parametrize(
    ("conversation", "stay"),
    [(after_turns(1), DAY), (with_welcome(a_conversation(), question_id(), "Hi"), HOUR)],
)
async def test_a_conversation_stays_until_its_time_and_no_longer(
    store: ConversationStateStore, pass_time: PassTime, conversation: Conversation, stay: timedelta
) -> None:
    await store.create(OWNER, conversation)
    await pass_time(stay - A_SECOND)
    assert await is_there(store)
    await pass_time(A_SECOND)

    assert not await is_there(store)
    with pytest.raises(ConversationNotFound):
        await store.update(REF, hearing("still there?"))


async def test_reading_does_not_lengthen_the_stay(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, after_turns(1))
    await pass_time(HOUR)
    await store.load(REF)
    await store.page(REF, None, 10)
    await pass_time(DAY - HOUR)

    assert not await is_there(store)


async def test_the_beginning_of_a_turn_restarts_the_stay(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, after_turns(1))
    await pass_time(HOUR)
    await store.update(REF, asking("And?", 2, at=NOON + HOUR))
    await pass_time(DAY - A_SECOND)
    assert await is_there(store)
    await pass_time(A_SECOND)

    assert not await is_there(store)


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        (answering("Hi!", at=NOON + HOUR), True),
        (settling(), False),
        (hearing("of no turn"), False),
    ],
)
async def test_only_steps_that_restart_the_stay_do(
    store: ConversationStateStore, pass_time: PassTime, change: Change, *, restarts: bool
) -> None:
    await store.create(OWNER, with_question(a_conversation()))
    await pass_time(HOUR)
    await store.update(REF, change)
    await pass_time(DAY - A_SECOND)

    assert await is_there(store) is restarts


async def test_the_first_turn_of_an_unused_conversation_gives_it_its_full_stay(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, a_conversation())
    await store.update(REF, asking())
    await pass_time(DAY - A_SECOND)

    assert await is_there(store)


async def test_an_id_whose_time_is_over_can_be_created_again(
    store: ConversationStateStore, pass_time: PassTime
) -> None:
    await store.create(OWNER, after_turns(1))
    await pass_time(DAY)
    await store.create(OWNER, a_conversation())

    assert texts_of(await store.load(REF)) == []


async def test_forgetting_takes_state_and_log_and_can_be_repeated(
    store: ConversationStateStore, log: TurnLog
) -> None:
    await store.create(OWNER, with_question(a_conversation()))
    await store.forget(REF)
    await store.forget(REF)

    assert not await is_there(store)
    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn_id()), 0, AT_ONCE)


@pytest.mark.parametrize("change", [hearing("late"), finishing(), interrupting(), failing()])
async def test_nothing_brings_back_what_was_forgotten(
    store: ConversationStateStore, change: Change
) -> None:
    await store.create(OWNER, a_conversation())
    begun = await store.update(REF, asking())
    await store.forget(REF)
    for base in (None, begun):
        with pytest.raises(ConversationNotFound):
            await store.update(REF, change, base=base)

    assert not await is_there(store)


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


@pytest.mark.parametrize("end", [finishing(), interrupting(), failing(), settling()])
async def test_a_repeated_step_changes_nothing_and_succeeds(
    store: ConversationStateStore, end: Change
) -> None:
    await store.create(OWNER, a_conversation())
    begun = await store.update(REF, asking())
    assert await store.update(REF, asking(), base=begun) == begun
    ended = await store.update(REF, end, base=begun)

    for base in (None, begun, ended):
        assert await store.update(REF, end, base=base) == ended
    assert await store.load(REF) == ended
