"""What becomes of a reply when the store is away, or the conversation is no longer what it was."""

import asyncio
from datetime import timedelta

from domain.model.conversation import Conversation
from domain.model.message import MessageStatus
from domain.model.piece import TextPiece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from domain.service.turn_lifecycle import settle
from tests.support.builders import ID, OWNER, a_conversation, asked, texts_of, turn_id
from tests.support.clocks import NOON
from tests.support.fake_model import Puppet, Speaking
from tests.support.fakes import Calm, Saying
from tests.support.harness import WHEN_IT_COMES, Room, a_room

WITHIN = TurnPolicy().save_timeout
A_MOMENT = timedelta(seconds=1)


async def a_turn(room: Room) -> Conversation:
    conversation = asked(a_conversation())
    await room.store.create(OWNER, conversation)
    return conversation


async def logged_end(room: Room, number: int = 1) -> TurnEnd:
    entries = await room.log.read(OWNER, ID, turn_id(number), 0, timedelta())
    assert isinstance(entries[-1], TurnEnd)
    return entries[-1]


async def half_a_reply(room: Room, puppet: Puppet) -> tuple["asyncio.Task[int]", Speaking]:
    making = asyncio.create_task(room.run_turn(OWNER, await a_turn(room), Calm()))
    speaking = await puppet.asked()
    speaking.say("Half of")
    await room.log.read(OWNER, ID, turn_id(), 0, WHEN_IT_COMES)
    return making, speaking


async def test_a_reply_is_saved_when_the_store_comes_back_in_time() -> None:
    room = a_room(Saying("Hi!"))
    conversation = await a_turn(room)
    room.store.leave(WITHIN - A_MOMENT)

    await room.run_turn(OWNER, conversation, Calm())

    stored = await room.stored(ID)
    assert room.store.refused > 10
    assert texts_of(stored) == ["Hello?", "Hi!"]
    assert (await logged_end(room)).outcome is Outcome.FINISHED
    assert (await logged_end(room)).expires_at == stored.expires_at


async def test_a_reply_that_cannot_be_saved_in_time_says_so() -> None:
    room = a_room(Saying("Hi!"))
    conversation = await a_turn(room)
    room.store.leave(WITHIN + A_MOMENT)

    await room.run_turn(OWNER, conversation, Calm())

    assert await logged_end(room) == TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")
    assert room.telemetry.events == ["turn.not-saved"]


async def test_a_turn_does_not_look_dead_while_its_reply_waits_for_the_store() -> None:
    room = a_room(Saying("Hi!"))
    conversation = await a_turn(room)
    room.store.leave(WITHIN - A_MOMENT)
    making = asyncio.create_task(room.run_turn(OWNER, conversation, Calm()))
    longest = timedelta()
    while not making.done():
        longest = max(longest, await room.log.silence(OWNER, ID, turn_id()))
        await asyncio.sleep(0)

    assert longest <= A_MOMENT


async def test_a_reply_whose_saving_only_seemed_to_fail_is_stored_once() -> None:
    room = a_room(Saying("Hi!"))
    conversation = await a_turn(room)
    room.store.lost_answers = 2

    await room.run_turn(OWNER, conversation, Calm())

    assert texts_of(await room.stored(ID)) == ["Hello?", "Hi!"]
    assert (await logged_end(room)).outcome is Outcome.FINISHED


async def test_a_conversation_forgotten_in_mid_reply_is_not_brought_back() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    started = await room.send()
    (await puppet.asked()).say("Half of")
    following = asyncio.create_task(room.whole_turn(started))

    await room.forget(OWNER, started.conversation.id)

    gone = TurnEnd(outcome=Outcome.GONE, error="conversation_gone")
    await room.runner.drain(WHEN_IT_COMES)
    assert (await following)[-1] == gone
    assert await room.whole_turn(started) == [gone]
    assert room.telemetry.events == ["conversation.forgotten", "turn.gone"]


async def test_a_conversation_forgotten_before_the_last_word_is_not_brought_back() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    making, speaking = await half_a_reply(room, puppet)
    await room.store.forget(OWNER, ID)

    speaking.finish()
    await making

    assert room.telemetry.emitted[-1][0] == "turn.gone"
    assert room.telemetry.emitted[-1][1]["error"] == "conversation_gone"
    assert await room.follow.running(OWNER, ID) is None


async def test_a_turn_that_others_have_settled_writes_no_more() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    making, speaking = await half_a_reply(room, puppet)
    heard = [TextPiece("Half of")]
    await room.store.update(OWNER, ID, lambda known: settle(known, turn_id(), heard, NOON))
    await room.store.update(OWNER, ID, lambda known: asked(known, "Next?", 2))

    speaking.say(" something late")
    await making

    stored = await room.stored(ID)
    assert speaking.left.is_set()
    assert texts_of(stored) == ["Hello?", "Half of", "Next?"]
    assert stored.messages[1].status is MessageStatus.INTERRUPTED
    assert stored.open_turn is not None
    assert await room.log.read(OWNER, ID, turn_id(2), 0, timedelta()) == []
    assert room.telemetry.emitted[-1][1]["error"] == "turn_superseded"
