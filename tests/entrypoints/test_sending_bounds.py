"""How much may be sent, and what is refused before anything is changed."""

import pytest

from ports.errors import ShuttingDown, StoreUnavailable, TooManyRequests, TooManyTurns
from ports.rate_limiter import Quota
from tests.support.builders import texts_of
from tests.support.fake_model import Puppet
from tests.support.fakes import Saying
from tests.support.harness import WHEN_IT_COMES, a_room


async def test_new_conversations_are_counted_by_address() -> None:
    room = a_room(per_hour={Quota.NEW: 1})
    await room.send()

    with pytest.raises(TooManyRequests):
        await room.send()
    await room.send(address="192.0.2.2")


async def test_a_message_that_is_more_than_the_share_changes_nothing() -> None:
    model = Saying("Hi!")
    room = a_room(model, per_hour={Quota.STORED: 10})

    with pytest.raises(TooManyRequests):
        await room.send("12345", page_context='"6789"')

    assert model.prompts == []


async def test_replies_count_as_stored_but_are_never_cut_short_by_it() -> None:
    room = a_room(Saying("12345"), per_hour={Quota.STORED: 11})
    first = await room.send("12345")
    await room.whole_turn(first)
    await room.runner.drain(WHEN_IT_COMES)

    stored = await room.stored(first.conversation.id)
    assert texts_of(stored) == ["12345", "12345"]
    with pytest.raises(TooManyRequests):
        await room.send("12")


async def test_a_process_with_no_room_for_a_turn_changes_nothing() -> None:
    puppet = Puppet()
    room = a_room(puppet, max_turns=1)
    first = await room.send()
    await puppet.asked()

    with pytest.raises(TooManyTurns):
        await room.send("Next", session_id=first.conversation.id)
    assert texts_of(await room.stored(first.conversation.id)) == ["Hello?"]


async def test_a_process_that_ends_takes_no_message() -> None:
    room = a_room()
    room.runner.refuse_new()

    with pytest.raises(ShuttingDown):
        await room.send()


async def test_a_store_that_is_away_refuses_the_message_before_anything_streams() -> None:
    model = Saying("Hi!")
    room = a_room(model)
    room.store.leave(WHEN_IT_COMES)

    with pytest.raises(StoreUnavailable):
        await room.send()

    assert model.prompts == []
