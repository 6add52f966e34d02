"""Which conversation a client's own name means."""

from uuid import UUID

import pytest

from domain.model.errors import ConversationNotFound
from entrypoints.usecases.conversations import FindConversation
from ports.errors import StoredStateUnreadable, StoreUnavailable
from tests.support.builders import OTHER_ID, OWNER, STRANGER
from tests.support.harness import Harness, a_harness

UUID_OF_SOMEBODY = "6d2a6a4e-6c1e-4f0e-9a0e-3d8b5a3f2c11"


def finding(harness: Harness) -> FindConversation:
    return harness.container.resolve(FindConversation)


async def test_a_name_always_means_the_same_session_of_its_owner_only() -> None:
    find = finding(a_harness())

    mine = await find(OWNER, "chat")
    assert mine == await find(OWNER, "chat") == find.derived_id(OWNER, "chat")
    assert mine not in (await find(STRANGER, "chat"), await find(OWNER, "Chat"))
    assert UUID(mine).version == 8


async def test_a_session_of_ones_own_is_meant_by_its_id() -> None:
    harness = a_harness()
    session_id = (await harness.send()).conversation.id

    assert await finding(harness)(OWNER, session_id) == session_id
    assert await finding(harness)(STRANGER, session_id) != session_id


@pytest.mark.parametrize("name", [UUID_OF_SOMEBODY, OTHER_ID])
async def test_an_id_that_is_no_session_of_ones_own_is_a_name_like_any(name: str) -> None:
    find = finding(a_harness())

    assert await find(OWNER, name) == find.derived_id(OWNER, name) != name


async def test_a_name_that_cannot_be_a_session_costs_no_look() -> None:
    harness = a_harness()
    await finding(harness)(OWNER, "chat")

    assert harness.store.loads == []


async def test_what_is_damaged_is_still_there() -> None:
    harness = a_harness()
    session_id = (await harness.send()).conversation.id
    harness.store.fail_next_load(StoredStateUnreadable())

    assert await finding(harness)(OWNER, session_id) == session_id


async def test_an_unavailable_store_is_not_a_missing_conversation() -> None:
    harness = a_harness()
    harness.store.fail_next_load(StoreUnavailable("load"))

    with pytest.raises(StoreUnavailable):
        await finding(harness)(OWNER, UUID_OF_SOMEBODY)


async def test_a_conversation_is_created_under_the_id_of_create_as() -> None:
    harness = a_harness()
    named = finding(harness).derived_id(OWNER, "chat")
    started = await harness.send(session_id=named, create_as=named)
    await harness.end_of(started)
    again = await harness.send(session_id=named, create_as=named)

    assert started.conversation.id == again.conversation.id == named
    assert (started.restarted, again.restarted) == (False, False)
    assert again.turn.number == 2


async def test_a_session_that_expired_meanwhile_is_created_under_the_id_of_create_as() -> None:
    harness = a_harness()
    named = finding(harness).derived_id(OWNER, OTHER_ID)
    started = await harness.send(session_id=OTHER_ID, create_as=named)
    await harness.end_of(started)
    again = await harness.send(session_id=OTHER_ID, create_as=named)

    assert started.conversation.id == again.conversation.id == named
    assert again.turn.number == 2
    with pytest.raises(ConversationNotFound):
        await harness.stored(OTHER_ID)
