"""Two turns in one conversation: refusing, making way, settling what the dead left, stopping."""

from datetime import timedelta

import pytest

from domain.model.errors import TurnInProgress
from domain.model.message import MessageStatus
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, TurnEnd
from domain.model.turn_policy import TurnPolicy
from entrypoints.usecases.open_turn import OnBusy
from ports.errors import StoredStateUnreadable
from tests.builders import ID, OTHER_ID, OWNER, STRANGER, a_conversation, asked, texts_of, turn_id
from tests.clocks import ManualClock
from tests.e2e.puppet import Puppet
from tests.entrypoints.room import WHEN_IT_COMES, Room, a_room

POLICY = TurnPolicy()
HALF = [NumberedPiece(1, TextPiece("Half"))]
A_MOMENT = timedelta(milliseconds=1)
AT_ONCE = timedelta()
ABANDONED = TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned")


async def a_dead_turn(*texts: str) -> Room:
    """A room in which a process died after it had logged ``texts``."""
    room = a_room(clock=ManualClock())
    conversation = asked(a_conversation())
    await room.store.create(OWNER, conversation)
    pieces = [NumberedPiece(number, TextPiece(text)) for number, text in enumerate(texts, 1)]
    assert conversation.turn is not None
    await room.log.append(OWNER, ID, conversation.turn, pieces)
    return room


async def test_the_next_writer_settles_a_dead_turn_with_its_pieces() -> None:
    room = await a_dead_turn("Half", " of")
    room.clock.advance(POLICY.dead_after)

    await room.whole_turn(await room.send("Still there?", session_id=ID))

    stored = await room.stored(ID)
    assert texts_of(stored) == ["Hello?", "Half of", "Still there?", "Hi!"]
    assert stored.messages[1].status is MessageStatus.INTERRUPTED
    assert room.notebook.notes[0] == ("turn.settled", {"session_id": ID, "pieces": 2})


async def test_a_lost_log_is_silent_from_when_it_was_first_seen_missing() -> None:
    room = await a_dead_turn()
    room.log.forget(ID)
    with pytest.raises(TurnInProgress):
        await room.send("Still there?", session_id=ID)
    room.clock.advance(POLICY.dead_after - A_MOMENT)
    with pytest.raises(TurnInProgress):
        await room.send("Still there?", session_id=ID)
    room.clock.advance(A_MOMENT)

    await room.whole_turn(await room.send("Still there?", session_id=ID))

    assert texts_of(await room.stored(ID)) == ["Hello?", "Still there?", "Hi!"]


@pytest.mark.parametrize("on_busy", OnBusy)
async def test_what_could_not_be_saved_is_settled_by_the_next_writer_at_once(
    on_busy: OnBusy,
) -> None:
    room = await a_dead_turn("Half")
    turn = (await room.stored(ID)).turn
    assert turn is not None
    await room.log.end(OWNER, ID, turn, TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved"))

    await room.whole_turn(await room.send("Still there?", session_id=ID, on_busy=on_busy))

    assert texts_of(await room.stored(ID)) == ["Hello?", "Half", "Still there?", "Hi!"]


async def test_a_turn_that_is_only_slow_is_not_settled() -> None:
    room = await a_dead_turn("Half")
    room.clock.advance(POLICY.dead_after - A_MOMENT)

    with pytest.raises(TurnInProgress) as busy:
        await room.send("Still there?", session_id=ID)

    assert busy.value.turn_id == turn_id()
    assert texts_of(await room.stored(ID)) == ["Hello?"]


async def test_followers_of_a_dead_turn_learn_that_it_was_abandoned() -> None:
    room = await a_dead_turn("Half")
    heard = await room.follow.read(OWNER, ID, turn_id(), (), AT_ONCE)
    room.clock.advance(POLICY.dead_after - A_MOMENT)
    before = await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE)
    room.clock.advance(A_MOMENT)

    after = await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE)

    assert heard == HALF
    assert (before, after) == ([], (ABANDONED,))


async def test_a_reply_makes_way_for_who_interrupts_it() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    first = await room.send()
    speaking = await puppet.asked()
    speaking.say("Half of")
    await room.log.read(OWNER, first.conversation.id, first.turn.id, 0, WHEN_IT_COMES)

    second = await room.send("Wait!", session_id=first.conversation.id, on_busy=OnBusy.INTERRUPT)

    stored = await room.stored(first.conversation.id)
    assert speaking.left.is_set()
    assert second.turn.number == 2
    assert texts_of(stored) == ["Hello?", "Half of", "Wait!"]
    assert stored.messages[1].status is MessageStatus.INTERRUPTED


async def test_stopping_keeps_what_was_said_so_far() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    started = await room.send()
    session_id = started.conversation.id
    speaking = await puppet.asked()
    speaking.say("Half of")
    await room.log.read(OWNER, session_id, started.turn.id, 0, WHEN_IT_COMES)

    was_stopped = await room.stop(OWNER, session_id)

    assert was_stopped
    assert speaking.left.is_set()
    assert texts_of(await room.stored(session_id)) == ["Hello?", "Half of"]
    assert (await room.end_of(started)).outcome is Outcome.INTERRUPTED


async def test_a_late_stop_never_hits_the_next_turn() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    started = await room.send()
    speaking = await puppet.asked()

    was_stopped = await room.stop(OWNER, started.conversation.id, turn_id(99))

    speaking.finish()
    assert not was_stopped
    assert (await room.end_of(started)).outcome is Outcome.FINISHED


async def test_nothing_is_stopped_where_nothing_runs() -> None:
    room = a_room()
    started = await room.send()
    await room.whole_turn(started)

    assert not await room.stop(OWNER, started.conversation.id)
    assert not await room.stop(OWNER, OTHER_ID)


async def test_a_stranger_stops_and_forgets_nothing() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    started = await room.send()
    speaking = await puppet.asked()

    was_stopped = await room.stop(STRANGER, started.conversation.id)
    await room.forget(STRANGER, started.conversation.id)

    speaking.say("Hi!")
    speaking.finish()
    assert not was_stopped
    assert (await room.end_of(started)).outcome is Outcome.FINISHED
    assert texts_of(await room.stored(started.conversation.id)) == ["Hello?", "Hi!"]


async def test_forgetting_twice_is_no_error() -> None:
    room = a_room()
    started = await room.send()
    await room.whole_turn(started)

    await room.forget(OWNER, started.conversation.id)
    await room.forget(OWNER, started.conversation.id)

    assert await room.follow.running(OWNER, started.conversation.id) is None


async def test_what_cannot_be_read_can_be_forgotten() -> None:
    room = a_room()
    started = await room.send()
    await room.whole_turn(started)
    room.store.fail_next_load(StoredStateUnreadable())

    await room.forget(OWNER, started.conversation.id)

    assert "conversation.forgotten" in room.notebook.events
    assert await room.follow.running(OWNER, started.conversation.id) is None
