"""Two turns in one conversation: refusing, making way, stopping."""

import pytest

from domain.model.errors import MessageNotFound, TurnInProgress
from domain.model.identifiers import MessageId
from domain.model.message import MessageStatus, ToolResultPart
from domain.model.turn import Outcome
from entrypoints.usecases.open_turn import OnBusy
from entrypoints.usecases.regenerate import RegenerateRequest
from entrypoints.usecases.submit_tool_results import SubmitToolResults, ToolResults
from ports.errors import StoredStateUnreadable
from tests.support.builders import (
    OTHER_ID,
    OWNER,
    STRANGER,
    texts_of,
    turn_id,
)
from tests.support.fake_model import Puppet
from tests.support.harness import ADDRESS, WHEN_IT_COMES, a_room


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


@pytest.mark.parametrize("which", ["results", "again"])
async def test_no_reply_makes_way_for_what_cannot_be_done(which: str) -> None:
    puppet = Puppet()
    room = a_room(puppet)
    first = await room.send()
    speaking = await puppet.asked()
    speaking.say("Half of")
    session_id, on_busy = first.conversation.id, OnBusy.INTERRUPT
    result = ToolResultPart(call_id="unknown", output="1")
    asking = {
        "results": lambda: room.container.resolve(SubmitToolResults)(
            OWNER,
            ToolResults(session_id=session_id, results=(result,), address=ADDRESS, on_busy=on_busy),
        ),
        "again": lambda: room.again(
            OWNER,
            RegenerateRequest(
                session_id=session_id,
                message_id=MessageId("unknown"),
                address=ADDRESS,
                on_busy=on_busy,
            ),
        ),
    }
    with pytest.raises((TurnInProgress, MessageNotFound)):
        await asking[which]()
    speaking.say(" it all")
    speaking.finish()

    assert (await room.end_of(first)).outcome is Outcome.FINISHED
    assert texts_of(await room.stored(session_id)) == ["Hello?", "Half of it all"]


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

    assert "conversation.forgotten" in room.telemetry.events
    assert await room.follow.running(OWNER, started.conversation.id) is None
