"""Logs that are lost while their writer lives, and turns that were opened unbeknownst."""

from datetime import timedelta

import pytest

from domain.model.identifiers import ConversationRef, TurnRef
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
from tests.support.fake_model import FakeModel
from tests.support.fakes import InstantModel
from tests.support.harness import a_harness

POLICY = TurnPolicy()


async def test_a_living_writer_opens_a_lost_log_again_with_all_its_pieces() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    model_reply = await fake_model.next_reply()
    model_reply.say("One")
    following = harness.follow.batches(
        TurnRef(ConversationRef(OWNER, started.conversation.id), started.turn.id), POLICY.heartbeat
    )
    pieces = [*(await anext(following)).pieces]
    harness.log.forget(started.conversation.id)
    model_reply.say("Two")
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
    model_reply.say("One")
    await harness.store.forget(ConversationRef(OWNER, started.conversation.id))
    model_reply.say("Two")
    model_reply.finish()

    end = await harness.end_of(started)
    assert (end.outcome, end.error) == (Outcome.GONE, "conversation_gone")


async def test_a_turn_opened_behind_a_lost_answer_is_closed_again() -> None:
    harness = a_harness(InstantModel("Hi!"))
    await harness.store.create(OWNER, a_conversation())
    harness.store.lost_answers = 1
    with pytest.raises(StoreUnavailable):
        await harness.send("Hello?", session_id=ID)
    await harness.runner.drain(POLICY.save_timeout)

    stored = await harness.stored(ID)
    assert texts_of(stored) == ["Hello?"]
    assert stored.turn is not None
    assert (stored.turn.status, stored.turn.error) == (TurnStatus.FAILED, "store_unavailable")


async def test_the_same_words_said_again_take_the_unanswered_ones_place() -> None:
    harness = a_harness(InstantModel("Hi!"))
    await harness.store.create(OWNER, a_conversation())
    harness.store.lost_answers = 1
    with pytest.raises(StoreUnavailable):
        await harness.send("Hello?", session_id=ID)
    while (turn := (await harness.stored(ID)).turn) is None or turn.is_open:
        pass
    await harness.whole_turn(await harness.send("Hello?", session_id=ID))

    assert texts_of(await harness.stored(ID)) == ["Hello?", "Hi!"]


async def test_what_cannot_be_closed_is_left_to_be_settled() -> None:
    harness = a_harness(InstantModel("Hi!"))
    await harness.store.create(OWNER, a_conversation())
    harness.store.lost_answers = 1
    sending = harness.send("Hello?", session_id=ID)
    with pytest.raises(StoreUnavailable):
        await sending
    harness.store.leave(2 * POLICY.save_timeout)
    await harness.runner.drain(POLICY.save_timeout)

    assert (await harness.store.at_once(REF)).open_turn is not None
    assert "turn.crashed" not in harness.telemetry.events


async def test_a_store_that_is_away_for_a_while_loses_a_follower_nothing() -> None:
    harness = a_harness(InstantModel("One", "Two"))
    started = await harness.send()
    await harness.end_of(started)
    harness.clock.advance(POLICY.save_timeout * 2)
    harness.log.forget(started.conversation.id)
    harness.store.leave(POLICY.save_timeout / 2)
    turn_ref = TurnRef(ConversationRef(OWNER, started.conversation.id), started.turn.id)
    following = harness.follow.batches(turn_ref, POLICY.heartbeat)
    *silent, last = [batch async for batch in following]

    assert all(batch.is_empty for batch in silent)
    assert last.pieces == tuple(numbered("OneTwo"))
    assert last.end is not None


async def test_a_store_that_stays_away_is_told_to_followers() -> None:
    harness = a_harness(InstantModel("One", "Two"))
    started = await harness.send()
    await harness.end_of(started)
    harness.log.forget(started.conversation.id)
    harness.store.leave(POLICY.save_timeout * 3)

    with pytest.raises(StoreUnavailable):
        async for _ in harness.follow.batches(
            TurnRef(ConversationRef(OWNER, started.conversation.id), started.turn.id),
            POLICY.heartbeat,
        ):
            pass


async def test_an_end_that_was_saved_and_not_announced_is_told_by_the_state() -> None:
    harness = a_harness()
    await harness.store.create(OWNER, with_question(a_conversation()))
    await harness.store.update(REF, with_answer)
    harness.clock.advance(POLICY.dead_after)

    end = (await harness.follow.read(TurnRef(REF, turn_id()), (), timedelta())).end
    assert end is not None
    assert (end.outcome, end.error) == (Outcome.FINISHED, None)
