"""Creating responses: in which conversation, what it costs, and two at once."""

import asyncio

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import TurnInProgress, TurnNotFound
from domain.model.message import Role, TextPart, UnknownPart
from domain.model.rate_limits import Quota
from entrypoints.usecases.create_response import CreateResponse, InputItem, ResponseRequest
from entrypoints.usecases.edit_items import EditItems
from entrypoints.usecases.open_turn import Started
from ports.errors import TooManyRequests
from tests.support.builders import OWNER, STRANGER, a_limit, texts_of
from tests.support.fake_model import InstantModel
from tests.support.harness import PAYER, Harness, a_harness


def user_item(text: str) -> InputItem:
    return InputItem(role=Role.USER, parts=(TextPart(text),))


async def create_response(
    harness: Harness, text: str, after: Started | None = None, *, wait: bool = True
) -> Started:
    request = ResponseRequest(
        inputs=(user_item(text),),
        payer=PAYER,
        session_id=after.conversation.id if after else None,
        after_turn=after.turn.number if after else None,
    )
    started = await harness.container.resolve(CreateResponse)(OWNER, request)
    if wait:
        await harness.end_of(started)
    return started


async def stored(harness: Harness, started: Started) -> Conversation:
    return await harness.stored(started.conversation.id)


async def test_two_requests_that_continue_the_same_turn_both_get_a_reply() -> None:
    harness = a_harness()
    first = await create_response(harness, "One")
    second, third = await asyncio.gather(
        create_response(harness, "Two", first), create_response(harness, "Three", first)
    )

    texts = [texts_of(await stored(harness, started)) for started in (second, third)]
    assert sorted(texts) == [["One", "Hi!", "Three", "Hi!"], ["One", "Hi!", "Two", "Hi!"]]
    assert second.conversation.id != third.conversation.id


async def test_a_turn_that_is_still_open_is_not_continued() -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await create_response(harness, "One", wait=False)

    with pytest.raises(TurnInProgress):
        await create_response(harness, "Two", first)


async def test_a_copy_counts_as_stored() -> None:
    harness = a_harness(limits=[a_limit(Quota.STORED_BYTES, 5_000)])
    first = await create_response(harness, "x" * 900)
    await create_response(harness, "Two", first)
    await create_response(harness, "Three", first)

    with pytest.raises(TooManyRequests):
        await create_response(harness, "Four", first)


async def test_the_note_of_a_response_counts_as_stored() -> None:
    harness = a_harness(limits=[a_limit(Quota.STORED_BYTES, 2_000)])
    request = ResponseRequest(
        inputs=(user_item("One"),), payer=PAYER, note=UnknownPart("x" * 2_000)
    )

    assert request.stored_bytes == (3 + 256) + (2_000 + 256)
    await create_response(harness, "Some of the limit is used.")
    with pytest.raises(TooManyRequests):
        await harness.container.resolve(CreateResponse)(OWNER, request)


async def test_a_deleted_turn_cannot_be_continued() -> None:
    harness = a_harness()
    first = await create_response(harness, "One")
    second = await create_response(harness, "Two", first)
    await harness.container.resolve(EditItems).delete_turn(first.ref, second.turn.number)

    with pytest.raises(TurnNotFound):
        await create_response(harness, "Three", second)


async def test_another_owners_turn_cannot_be_continued() -> None:
    harness = a_harness()
    first = await create_response(harness, "One")
    request = ResponseRequest(
        inputs=(user_item("Mine?"),),
        payer=PAYER,
        session_id=first.conversation.id,
        after_turn=1,
    )

    with pytest.raises(TurnNotFound):
        await harness.container.resolve(CreateResponse)(STRANGER, request)
