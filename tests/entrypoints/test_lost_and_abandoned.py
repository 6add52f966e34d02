"""Logs that are lost while their writer lives, and turns that were opened unbeknownst."""

from datetime import timedelta

import pytest

from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, TurnPolicy, TurnStatus
from ports.errors import StoreUnavailable
from tests.support.builders import ID, OWNER, a_conversation, answered, asked, texts_of, turn_id
from tests.support.fake_model import Puppet
from tests.support.fakes import Saying
from tests.support.harness import a_room

POLICY = TurnPolicy()


async def test_a_living_writer_opens_a_lost_log_again_with_all_its_pieces() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    started = await room.send()
    speaking = await puppet.asked()
    speaking.say("One")
    following = room.follow.entries(
        OWNER, started.conversation.id, started.turn.id, POLICY.heartbeat
    )
    heard = list(await anext(following))
    room.log.forget(started.conversation.id)
    speaking.say("Two")
    speaking.finish()
    async for entries in following:
        heard += entries

    pieces = [one for one in heard if isinstance(one, NumberedPiece)]
    assert pieces == [NumberedPiece(1, TextPiece("One")), NumberedPiece(2, TextPiece("Two"))]
    assert heard[-1] not in pieces
    assert texts_of(await room.stored(started.conversation.id)) == ["Hello?", "OneTwo"]


async def test_a_forgotten_conversation_gets_no_log_back() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    started = await room.send()
    speaking = await puppet.asked()
    speaking.say("One")
    await room.store.forget(OWNER, started.conversation.id)
    speaking.say("Two")
    speaking.finish()

    end = await room.end_of(started)
    assert (end.outcome, end.error) == (Outcome.GONE, "conversation_gone")


async def test_a_turn_opened_behind_a_lost_answer_is_closed_again() -> None:
    room = a_room(Saying("Hi!"))
    await room.store.create(OWNER, a_conversation())
    room.store.lost_answers = 1
    with pytest.raises(StoreUnavailable):
        await room.send("Hello?", session_id=ID)
    await room.runner.drain(POLICY.save_timeout)

    stored = await room.stored(ID)
    assert texts_of(stored) == ["Hello?"]
    assert stored.turn is not None
    assert (stored.turn.status, stored.turn.error) == (TurnStatus.FAILED, "store_unavailable")


async def test_the_same_words_said_again_take_the_unanswered_ones_place() -> None:
    room = a_room(Saying("Hi!"))
    await room.store.create(OWNER, a_conversation())
    room.store.lost_answers = 1
    with pytest.raises(StoreUnavailable):
        await room.send("Hello?", session_id=ID)
    while (turn := (await room.stored(ID)).turn) is None or turn.is_open:
        pass
    await room.whole_turn(await room.send("Hello?", session_id=ID))

    assert texts_of(await room.stored(ID)) == ["Hello?", "Hi!"]


async def test_what_cannot_be_closed_is_left_to_be_settled() -> None:
    room = a_room(Saying("Hi!"))
    await room.store.create(OWNER, a_conversation())
    room.store.lost_answers = 1
    sending = room.send("Hello?", session_id=ID)
    with pytest.raises(StoreUnavailable):
        await sending
    room.store.leave(2 * POLICY.save_timeout)
    await room.runner.drain(POLICY.save_timeout)

    assert (await room.store.at_once(OWNER, ID)).open_turn is not None
    assert "turn.crashed" not in room.telemetry.events


async def test_a_store_that_is_away_for_a_while_loses_a_follower_nothing() -> None:
    room = a_room(Saying("One", "Two"))
    started = await room.send()
    await room.end_of(started)
    room.clock.advance(POLICY.save_timeout * 2)
    room.log.forget(started.conversation.id)
    room.store.leave(POLICY.save_timeout / 2)
    heard = [
        entry
        async for entries in room.follow.entries(
            OWNER, started.conversation.id, started.turn.id, POLICY.heartbeat
        )
        for entry in entries
    ]

    assert heard[0] == NumberedPiece(1, TextPiece("OneTwo"))
    assert len(heard) == 2


async def test_a_store_that_stays_away_is_told_to_followers() -> None:
    room = a_room(Saying("One", "Two"))
    started = await room.send()
    await room.end_of(started)
    room.log.forget(started.conversation.id)
    room.store.leave(POLICY.save_timeout * 3)

    with pytest.raises(StoreUnavailable):
        async for _ in room.follow.entries(
            OWNER, started.conversation.id, started.turn.id, POLICY.heartbeat
        ):
            pass


async def test_an_end_that_was_saved_and_not_announced_is_told_by_the_state() -> None:
    room = a_room()
    await room.store.create(OWNER, asked(a_conversation()))
    await room.store.update(OWNER, ID, answered)
    room.clock.advance(POLICY.dead_after)

    [*_, end] = await room.follow.read(OWNER, ID, turn_id(), (), timedelta())
    assert not isinstance(end, NumberedPiece)
    assert (end.outcome, end.error) == (Outcome.FINISHED, None)
