"""An Idempotency-Key: a request that comes twice is answered once."""

import asyncio
from typing import Any

import pytest

from domain.model.errors import IdempotencyKeyReused
from domain.model.identifiers import SessionId
from domain.model.turn import IdempotencyKey
from entrypoints.usecases.regenerate import RegenerateRequest
from ports.language_model import ModelBusy
from tests.support.builders import OTHER_ID, OWNER, texts_of
from tests.support.fake_model import Puppet
from tests.support.fakes import Saying
from tests.support.harness import ADDRESS, a_room

KEY = IdempotencyKey(digest=b"key", body_digest=b"body")
OTHER_BODY = IdempotencyKey(digest=b"key", body_digest=b"another body")
FIRST: dict[str, Any] = {"idempotency_key": "once", "idempotency": KEY}


async def test_a_repeated_message_joins_its_turn() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    first = await room.send(**FIRST)
    speaking = await puppet.asked()

    second = await room.send(**FIRST)
    speaking.say("Hi!")
    speaking.finish()

    assert second.turn.id == first.turn.id
    assert await room.whole_turn(second) == await room.whole_turn(first)
    assert texts_of(await room.stored(first.conversation.id)) == ["Hello?", "Hi!"]
    assert puppet.times_asked == 1


async def test_a_repeated_message_gets_the_reply_that_is_finished_already() -> None:
    model = Saying("Hi!")
    room = a_room(model)
    first = await room.send(**FIRST)
    heard = await room.whole_turn(first)

    second = await room.send(**FIRST)

    assert not second.restarted
    assert await room.whole_turn(second) == heard
    assert len(model.prompts) == 1


async def test_the_same_key_with_another_body_is_refused() -> None:
    room = a_room()
    first = await room.send(**FIRST)
    await room.whole_turn(first)

    with pytest.raises(IdempotencyKeyReused):
        await room.send("Other", idempotency_key="once", idempotency=OTHER_BODY)
    with pytest.raises(IdempotencyKeyReused):
        await room.send("Other", session_id=first.conversation.id, idempotency=OTHER_BODY)

    assert texts_of(await room.stored(first.conversation.id)) == ["Hello?", "Hi!"]


async def test_the_key_of_a_first_message_opens_nothing_once_the_conversation_has_gone_on() -> None:
    room = a_room()
    first = await room.send(**FIRST)
    await room.whole_turn(first)
    await room.whole_turn(await room.send("More", session_id=first.conversation.id))

    with pytest.raises(IdempotencyKeyReused):
        await room.send(**FIRST)


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_key_is_free_again_after_a_failure_without_a_piece(*, is_first: bool) -> None:
    puppet = Puppet()
    room = a_room(puppet)
    first = await room.send(**FIRST)
    (await puppet.asked()).fail(ModelBusy())
    assert (await room.end_of(first)).error == "model_busy"

    named = {} if is_first else {"session_id": first.conversation.id}
    second = await room.send(**FIRST, **named)
    speaking = await puppet.asked()
    speaking.say("Hi!")
    speaking.finish()
    await room.whole_turn(second)

    assert second.turn.id != first.turn.id
    assert texts_of(await room.stored(first.conversation.id)) == ["Hello?", "Hi!"]


async def test_a_key_stays_taken_after_a_failure_with_a_piece() -> None:
    model = Saying("Well,", error=ModelBusy())
    room = a_room(model)
    first = await room.send(**FIRST)
    heard = await room.whole_turn(first)

    second = await room.send(**FIRST)

    assert await room.whole_turn(second) == heard
    assert len(model.prompts) == 1


async def test_two_first_messages_at_once_with_one_key_begin_one_conversation() -> None:
    model = Saying("Hi!")
    room = a_room(model)

    first, second = await asyncio.gather(room.send(**FIRST), room.send(**FIRST))

    assert first.conversation.id == second.conversation.id
    assert await room.whole_turn(first) == await room.whole_turn(second)
    assert texts_of(await room.stored(first.conversation.id)) == ["Hello?", "Hi!"]
    assert len(model.prompts) == 1


async def test_two_messages_at_once_with_one_key_open_one_turn() -> None:
    model = Saying("Hi!")
    room = a_room(model)
    begun = await room.send("First")
    await room.whole_turn(begun)
    named: dict[str, SessionId] = {"session_id": begun.conversation.id}

    first, second = await asyncio.gather(
        room.send(idempotency=KEY, **named), room.send(idempotency=KEY, **named)
    )

    assert first.turn.id == second.turn.id
    await room.whole_turn(first)
    assert texts_of(await room.stored(begun.conversation.id)) == ["First", "Hi!", "Hello?", "Hi!"]


async def test_a_repeated_message_to_a_lost_conversation_begins_one_new_one() -> None:
    room = a_room()

    first = await room.send(session_id=OTHER_ID, **FIRST)
    second = await room.send(session_id=OTHER_ID, **FIRST)

    assert first.conversation.id == second.conversation.id
    assert (first.restarted, second.restarted) == (True, True)


async def test_first_messages_with_different_keys_begin_different_conversations() -> None:
    room = a_room()

    first = await room.send(**FIRST)
    second = await room.send(idempotency_key="twice", idempotency=KEY)

    assert first.conversation.id != second.conversation.id


async def test_another_answer_asked_for_twice_is_made_once() -> None:
    model = Saying("Hi!")
    room = a_room(model)
    first = await room.send()
    await room.whole_turn(first)
    again = RegenerateRequest(session_id=first.conversation.id, address=ADDRESS, idempotency=KEY)

    one, two = await room.again(OWNER, again), await room.again(OWNER, again)

    assert one.turn.id == two.turn.id
    assert len(await room.whole_turn(two)) == 2
    assert len(model.prompts) == 2
