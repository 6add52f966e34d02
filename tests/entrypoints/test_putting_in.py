"""Putting in: where the reply belongs, what is spent, and what happens at the same time."""

import asyncio

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import TurnInProgress, TurnNotFound
from domain.model.message import Role, TextPart
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import EditItems, InputItem, ResponseRequest
from entrypoints.usecases.open_turn import Started
from ports.errors import TooManyRequests
from ports.rate_limiter import Quota
from tests.support.builders import OWNER, STRANGER, texts_of
from tests.support.fakes import Saying
from tests.support.harness import ADDRESS, Room, a_room


def words(text: str) -> InputItem:
    return InputItem(role=Role.USER, parts=(TextPart(text),))


async def open_turn_with_items(
    room: Room, text: str, after: Started | None = None, *, wait: bool = True
) -> Started:
    new = ResponseRequest(
        inputs=(words(text),),
        address=ADDRESS,
        session_id=after.conversation.id if after else None,
        after_turn=after.turn.number if after else None,
    )
    started = await room.container.resolve(CreateResponse)(OWNER, new)
    if wait:
        await room.end_of(started)
    return started


async def stored(room: Room, started: Started) -> Conversation:
    return await room.stored(started.conversation.id)


async def test_two_who_continue_the_same_turn_at_once_both_get_their_reply() -> None:
    room = a_room()
    first = await open_turn_with_items(room, "One")
    second, third = await asyncio.gather(
        open_turn_with_items(room, "Two", first), open_turn_with_items(room, "Three", first)
    )

    said = [texts_of(await stored(room, started)) for started in (second, third)]
    assert sorted(said) == [["One", "Hi!", "Three", "Hi!"], ["One", "Hi!", "Two", "Hi!"]]
    assert second.conversation.id != third.conversation.id


async def test_a_turn_that_is_still_open_is_not_continued() -> None:
    room = a_room(Saying("Hi!"))
    first = await open_turn_with_items(room, "One", wait=False)

    with pytest.raises(TurnInProgress):
        await open_turn_with_items(room, "Two", first)


async def test_a_copy_counts_as_stored() -> None:
    room = a_room(per_hour={Quota.STORED: 2_000})
    first = await open_turn_with_items(room, "x" * 900)
    await open_turn_with_items(room, "Two", first)
    await open_turn_with_items(room, "Three", first)

    with pytest.raises(TooManyRequests):
        await open_turn_with_items(room, "Four", first)


async def test_a_turn_that_was_left_out_is_not_continued() -> None:
    room = a_room()
    first = await open_turn_with_items(room, "One")
    second = await open_turn_with_items(room, "Two", first)
    change = room.container.resolve(EditItems)
    await change.delete_turn(OWNER, first.conversation.id, second.turn.number)

    with pytest.raises(TurnNotFound):
        await open_turn_with_items(room, "Three", second)


async def test_nobody_continues_anothers_turn() -> None:
    room = a_room()
    first = await open_turn_with_items(room, "One")
    new = ResponseRequest(
        inputs=(words("Mine?"),),
        address=ADDRESS,
        session_id=first.conversation.id,
        after_turn=1,
    )

    with pytest.raises(TurnNotFound):
        await room.container.resolve(CreateResponse)(STRANGER, new)
