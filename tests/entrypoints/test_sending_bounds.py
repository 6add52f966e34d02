"""Limits on sending, and what is refused before anything is changed."""

import pytest
from attrs import evolve

from domain.model.rate_limits import Quota
from ports.errors import ShuttingDown, StoreUnavailable, TooManyRequests, TooManyTurns
from tests.support.builders import a_limit, texts_of
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.harness import PAYER, WHEN_IT_COMES, a_harness


async def test_new_conversations_are_counted_by_address() -> None:
    harness = a_harness(limits=[a_limit(Quota.NEW, 1)])
    await harness.send()

    with pytest.raises(TooManyRequests):
        await harness.send()
    await harness.send(payer=evolve(PAYER, address="another address"))


async def test_a_message_over_the_quota_changes_nothing() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model, limits=[a_limit(Quota.STORED_BYTES, 12)])
    await harness.whole_turn(await harness.send("1"))

    with pytest.raises(TooManyRequests):
        await harness.send("12345", page_context='"6789"')

    assert len(model.prompts) == 1


async def test_replies_count_as_stored_but_are_never_truncated_by_the_quota() -> None:
    harness = a_harness(InstantModel("12345"), limits=[a_limit(Quota.STORED_BYTES, 11)])
    first = await harness.send("12345")
    await harness.whole_turn(first)

    stored = await harness.stored(first.conversation.id)
    assert texts_of(stored) == ["12345", "12345"]
    with pytest.raises(TooManyRequests):
        await harness.send("12")


async def test_a_process_with_no_room_for_a_turn_changes_nothing() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model, max_turns=1)
    first = await harness.send()
    await fake_model.next_reply()

    with pytest.raises(TooManyTurns):
        await harness.send("Next", session_id=first.conversation.id)
    assert texts_of(await harness.stored(first.conversation.id)) == ["Hello?"]


async def test_a_process_that_ends_takes_no_message() -> None:
    harness = a_harness()
    harness.runner.refuse_new_turns()

    with pytest.raises(ShuttingDown):
        await harness.send()


async def test_an_unavailable_store_refuses_the_message_before_anything_streams() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    harness.store.become_unavailable(WHEN_IT_COMES)

    with pytest.raises(StoreUnavailable):
        await harness.send()

    assert model.prompts == []
