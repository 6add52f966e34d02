"""An Idempotency-Key: a repeated request is answered once."""

import asyncio
from typing import Any

import pytest

from domain.model.errors import IdempotencyKeyReused, RequestAlreadyAnswered
from domain.model.identifiers import SessionId
from domain.model.turn import IdempotencyKey
from entrypoints.usecases.regenerate import RegenerateRequest
from ports.language_model import ModelBusy
from tests.support.builders import OTHER_ID, OWNER, texts_of
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.harness import PAYER, a_harness

KEY = IdempotencyKey(digest=b"key", body_digest=b"body")
OTHER_BODY = IdempotencyKey(digest=b"key", body_digest=b"another body")
FIRST: dict[str, Any] = {"idempotency_key": "once", "idempotency": KEY}


async def test_a_repeated_message_joins_its_turn() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    first = await harness.send(**FIRST)
    model_reply = await fake_model.next_reply()

    second = await harness.send(**FIRST)
    model_reply.send_text("Hi!")
    model_reply.finish()

    assert second.turn.id == first.turn.id
    assert await harness.whole_turn(second) == await harness.whole_turn(first)
    assert texts_of(await harness.stored(first.conversation.id)) == ["Hello?", "Hi!"]
    assert fake_model.call_count == 1


async def test_a_repeated_message_gets_the_reply_that_is_finished_already() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    first = await harness.send(**FIRST)
    batch = await harness.whole_turn(first)

    second = await harness.send(**FIRST)

    assert not second.restarted
    assert await harness.whole_turn(second) == batch
    assert len(model.prompts) == 1


async def test_the_same_key_with_another_body_is_refused() -> None:
    harness = a_harness()
    first = await harness.send(**FIRST)
    await harness.whole_turn(first)

    with pytest.raises(IdempotencyKeyReused):
        await harness.send("Other", idempotency_key="once", idempotency=OTHER_BODY)
    with pytest.raises(IdempotencyKeyReused):
        await harness.send("Other", session_id=first.conversation.id, idempotency=OTHER_BODY)

    assert texts_of(await harness.stored(first.conversation.id)) == ["Hello?", "Hi!"]


async def test_the_key_of_a_first_message_opens_nothing_once_the_conversation_has_gone_on() -> None:
    harness = a_harness()
    first = await harness.send(**FIRST)
    await harness.whole_turn(first)
    await harness.whole_turn(await harness.send("More", session_id=first.conversation.id))

    with pytest.raises(RequestAlreadyAnswered):
        await harness.send(**FIRST)


async def test_a_message_repeated_after_another_turn_is_not_answered_again() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    first = await harness.send("First")
    await harness.whole_turn(first)
    named: dict[str, SessionId] = {"session_id": first.conversation.id}
    await harness.whole_turn(await harness.send("Again?", idempotency=KEY, **named))
    await harness.whole_turn(await harness.send("Other tab", **named))
    before = await harness.stored(first.conversation.id)

    with pytest.raises(RequestAlreadyAnswered):
        await harness.send("Again?", idempotency=KEY, **named)

    assert await harness.stored(first.conversation.id) == before
    assert len(model.prompts) == 3


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_key_is_free_again_after_a_failure_without_a_piece(*, is_first: bool) -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    first = await harness.send(**FIRST)
    (await fake_model.next_reply()).fail(ModelBusy())
    assert (await harness.end_of(first)).error == "model_busy"

    named = {} if is_first else {"session_id": first.conversation.id}
    second = await harness.send(**FIRST, **named)
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hi!")
    model_reply.finish()
    await harness.whole_turn(second)

    assert second.turn.id != first.turn.id
    assert texts_of(await harness.stored(first.conversation.id)) == ["Hello?", "Hi!"]


async def test_a_key_is_not_freed_after_a_failure_with_a_piece() -> None:
    model = InstantModel("Well,", error=ModelBusy())
    harness = a_harness(model)
    first = await harness.send(**FIRST)
    batch = await harness.whole_turn(first)

    second = await harness.send(**FIRST)

    assert await harness.whole_turn(second) == batch
    assert len(model.prompts) == 1


async def test_two_first_messages_at_once_with_one_key_begin_one_conversation() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)

    first, second = await asyncio.gather(harness.send(**FIRST), harness.send(**FIRST))

    assert first.conversation.id == second.conversation.id
    assert await harness.whole_turn(first) == await harness.whole_turn(second)
    assert texts_of(await harness.stored(first.conversation.id)) == ["Hello?", "Hi!"]
    assert len(model.prompts) == 1


async def test_two_messages_at_once_with_one_key_open_one_turn() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    started = await harness.send("First")
    await harness.whole_turn(started)
    named: dict[str, SessionId] = {"session_id": started.conversation.id}

    first, second = await asyncio.gather(
        harness.send(idempotency=KEY, **named), harness.send(idempotency=KEY, **named)
    )

    assert first.turn.id == second.turn.id
    await harness.whole_turn(first)
    assert texts_of(await harness.stored(started.conversation.id)) == [
        "First",
        "Hi!",
        "Hello?",
        "Hi!",
    ]


async def test_a_repeated_message_to_a_lost_conversation_begins_one_new_one() -> None:
    harness = a_harness()

    first = await harness.send(session_id=OTHER_ID, **FIRST)
    second = await harness.send(session_id=OTHER_ID, **FIRST)

    assert first.conversation.id == second.conversation.id
    assert (first.restarted, second.restarted) == (True, True)


async def test_first_messages_with_different_keys_begin_different_conversations() -> None:
    harness = a_harness()

    first = await harness.send(**FIRST)
    second = await harness.send(idempotency_key="twice", idempotency=KEY)

    assert first.conversation.id != second.conversation.id


async def test_a_regeneration_requested_twice_runs_once() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    first = await harness.send()
    await harness.whole_turn(first)
    again = RegenerateRequest(session_id=first.conversation.id, payer=PAYER, idempotency=KEY)

    one, two = await harness.regenerate(OWNER, again), await harness.regenerate(OWNER, again)

    assert one.turn.id == two.turn.id
    assert len((await harness.whole_turn(two)).pieces) == 1
    assert len(model.prompts) == 2


async def test_a_regeneration_repeated_after_another_turn_removes_nothing() -> None:
    harness = a_harness()
    first = await harness.send()
    await harness.whole_turn(first)
    again = RegenerateRequest(session_id=first.conversation.id, payer=PAYER, idempotency=KEY)
    await harness.whole_turn(await harness.regenerate(OWNER, again))
    await harness.whole_turn(await harness.send("More", session_id=first.conversation.id))

    with pytest.raises(RequestAlreadyAnswered):
        await harness.regenerate(OWNER, again)

    assert texts_of(await harness.stored(first.conversation.id)) == ["Hello?", "Hi!", "More", "Hi!"]
