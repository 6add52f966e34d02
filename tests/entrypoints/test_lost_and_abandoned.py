"""Lost logs of running turns, and turns that were opened although their request failed."""

from datetime import timedelta

import pytest

from domain.model.identifiers import TurnRef
from domain.model.turn import Outcome, TurnPolicy, TurnStatus
from ports.errors import StoreUnavailable
from tests.support.builders import (
    ID,
    OWNER,
    REF,
    a_conversation,
    numbered,
    texts_of,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.harness import a_harness

POLICY = TurnPolicy()


async def test_a_running_writer_opens_a_lost_log_again_with_all_its_pieces() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    model_reply = await fake_model.next_reply()
    model_reply.send_text("One")
    following = harness.follow.batches(started.turn_ref, POLICY.heartbeat)
    pieces = [*(await anext(following)).pieces]
    harness.log.forget(started.conversation.id)
    model_reply.send_text("Two")
    model_reply.finish()
    async for batch in following:
        pieces += batch.pieces

    assert pieces == numbered("One", "Two")
    assert texts_of(await harness.stored(started.conversation.id)) == ["Hello?", "OneTwo"]


async def test_a_forgotten_conversation_gets_no_log_back() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    model_reply = await fake_model.next_reply()
    model_reply.send_text("One")
    await harness.store.forget(started.ref)
    model_reply.send_text("Two")
    model_reply.finish()

    end = await harness.end_of(started)
    assert (end.outcome, end.error) == (Outcome.GONE, "conversation_gone")


async def test_a_turn_opened_although_the_response_was_lost_is_closed_again() -> None:
    harness = a_harness(InstantModel("Hi!"))
    await harness.store.create(OWNER, a_conversation())
    harness.store.responses_to_lose = 1
    with pytest.raises(StoreUnavailable):
        await harness.send("Hello?", session_id=ID)
    await harness.runner.drain(POLICY.save_timeout)

    stored = await harness.stored(ID)
    assert texts_of(stored) == ["Hello?"]
    assert stored.turn is not None
    assert (stored.turn.status, stored.turn.error) == (TurnStatus.FAILED, "store_unavailable")


async def test_the_same_message_sent_again_replaces_the_unanswered_one() -> None:
    harness = a_harness(InstantModel("Hi!"))
    await harness.store.create(OWNER, a_conversation())
    harness.store.responses_to_lose = 1
    with pytest.raises(StoreUnavailable):
        await harness.send("Hello?", session_id=ID)
    while (turn := (await harness.stored(ID)).turn) is None or turn.is_open:
        pass
    await harness.whole_turn(await harness.send("Hello?", session_id=ID))

    assert texts_of(await harness.stored(ID)) == ["Hello?", "Hi!"]


async def test_a_turn_that_cannot_be_closed_is_left_to_be_settled() -> None:
    harness = a_harness(InstantModel("Hi!"))
    await harness.store.create(OWNER, a_conversation())
    harness.store.responses_to_lose = 1
    sending = harness.send("Hello?", session_id=ID)
    with pytest.raises(StoreUnavailable):
        await sending
    harness.store.become_unavailable(2 * POLICY.save_timeout)
    await harness.runner.drain(POLICY.save_timeout)

    assert (await harness.store.load_now(REF)).open_turn is not None
    assert "turn.crashed" not in harness.telemetry.events


async def test_a_follower_loses_nothing_while_the_store_is_away() -> None:
    harness = a_harness(InstantModel("One", "Two"))
    started = await harness.send()
    await harness.end_of(started)
    harness.clock.advance(POLICY.save_timeout * 2)
    harness.log.forget(started.conversation.id)
    harness.store.become_unavailable(POLICY.save_timeout / 2)
    turn_ref = started.turn_ref
    following = harness.follow.batches(turn_ref, POLICY.heartbeat)
    *silent, last = [batch async for batch in following]

    assert all(batch.is_empty for batch in silent)
    assert last.pieces == tuple(numbered("OneTwo"))
    assert last.end is not None


async def test_followers_get_an_error_if_the_store_stays_away() -> None:
    harness = a_harness(InstantModel("One", "Two"))
    started = await harness.send()
    await harness.end_of(started)
    harness.log.forget(started.conversation.id)
    harness.store.become_unavailable(POLICY.save_timeout * 3)

    with pytest.raises(StoreUnavailable):
        async for _ in harness.follow.batches(
            started.turn_ref,
            POLICY.heartbeat,
        ):
            pass


async def test_an_end_that_was_stored_but_not_logged_is_read_from_the_store() -> None:
    harness = a_harness()
    await harness.store.create(OWNER, with_question(a_conversation()))
    await harness.store.update(REF, with_answer)
    harness.clock.advance(POLICY.dead_after)

    end = (await harness.follow.read(TurnRef(REF, turn_id()), (), timedelta())).end
    assert end is not None
    assert (end.outcome, end.error) == (Outcome.FINISHED, None)
