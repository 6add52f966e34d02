"""Putting in: where the reply belongs, what is spent, and what happens at the same time."""

import asyncio

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import TurnInProgress, TurnNotFound
from domain.model.identifiers import ConversationRef
from domain.model.message import Role, TextPart
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import EditItems, InputItem, ResponseRequest
from entrypoints.usecases.open_turn import Started
from ports.errors import TooManyRequests
from ports.rate_limiter import Quota
from tests.support.builders import OWNER, STRANGER, texts_of
from tests.support.fakes import InstantModel
from tests.support.harness import ADDRESS, Harness, a_harness


def words(text: str) -> InputItem:
    return InputItem(role=Role.USER, parts=(TextPart(text),))


async def open_turn_with_items(
    harness: Harness, text: str, after: Started | None = None, *, wait: bool = True
) -> Started:
    new = ResponseRequest(
        inputs=(words(text),),
        address=ADDRESS,
        session_id=after.conversation.id if after else None,
        after_turn=after.turn.number if after else None,
    )
    started = await harness.container.resolve(CreateResponse)(OWNER, new)
    if wait:
        await harness.end_of(started)
    return started


async def stored(harness: Harness, started: Started) -> Conversation:
    return await harness.stored(started.conversation.id)


async def test_two_who_continue_the_same_turn_at_once_both_get_their_reply() -> None:
    harness = a_harness()
    first = await open_turn_with_items(harness, "One")
    second, third = await asyncio.gather(
        open_turn_with_items(harness, "Two", first), open_turn_with_items(harness, "Three", first)
    )

    said = [texts_of(await stored(harness, started)) for started in (second, third)]
    assert sorted(said) == [["One", "Hi!", "Three", "Hi!"], ["One", "Hi!", "Two", "Hi!"]]
    assert second.conversation.id != third.conversation.id


async def test_a_turn_that_is_still_open_is_not_continued() -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await open_turn_with_items(harness, "One", wait=False)

    with pytest.raises(TurnInProgress):
        await open_turn_with_items(harness, "Two", first)


async def test_a_copy_counts_as_stored() -> None:
    harness = a_harness(per_hour={Quota.STORED: 2_000})
    first = await open_turn_with_items(harness, "x" * 900)
    await open_turn_with_items(harness, "Two", first)
    await open_turn_with_items(harness, "Three", first)

    with pytest.raises(TooManyRequests):
        await open_turn_with_items(harness, "Four", first)


async def test_a_turn_that_was_left_out_is_not_continued() -> None:
    harness = a_harness()
    first = await open_turn_with_items(harness, "One")
    second = await open_turn_with_items(harness, "Two", first)
    change = harness.container.resolve(EditItems)
    await change.delete_turn(ConversationRef(OWNER, first.conversation.id), second.turn.number)

    with pytest.raises(TurnNotFound):
        await open_turn_with_items(harness, "Three", second)


async def test_nobody_continues_anothers_turn() -> None:
    harness = a_harness()
    first = await open_turn_with_items(harness, "One")
    new = ResponseRequest(
        inputs=(words("Mine?"),),
        address=ADDRESS,
        session_id=first.conversation.id,
        after_turn=1,
    )

    with pytest.raises(TurnNotFound):
        await harness.container.resolve(CreateResponse)(STRANGER, new)
