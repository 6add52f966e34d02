"""Two turns in one conversation: rejecting, interrupting, stopping."""

import pytest

from domain.model.errors import MessageNotFound, TurnInProgress
from domain.model.identifiers import ConversationRef, MessageId, TurnRef
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
from tests.support.fake_model import FakeModel
from tests.support.harness import PAYER, WHEN_IT_COMES, a_harness


async def test_a_reply_is_interrupted_for_a_message() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    first = await harness.send()
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Half of")
    await harness.log.read(first.turn_ref, 0, WHEN_IT_COMES)

    second = await harness.send("Wait!", session_id=first.conversation.id, on_busy=OnBusy.INTERRUPT)

    stored = await harness.stored(first.conversation.id)
    assert model_reply.closed.is_set()
    assert second.turn.number == 2
    assert texts_of(stored) == ["Hello?", "Half of", "Wait!"]
    assert stored.messages[1].status is MessageStatus.INTERRUPTED


@pytest.mark.parametrize("which", ["results", "again"])
async def test_no_reply_is_interrupted_for_a_request_that_would_fail(which: str) -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    first = await harness.send()
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Half of")
    session_id, on_busy = first.conversation.id, OnBusy.INTERRUPT
    result = ToolResultPart(call_id="unknown", output="1")
    asking = {
        "results": lambda: harness.container.resolve(SubmitToolResults)(
            OWNER,
            ToolResults(session_id=session_id, results=(result,), payer=PAYER, on_busy=on_busy),
        ),
        "again": lambda: harness.regenerate(
            OWNER,
            RegenerateRequest(
                session_id=session_id,
                message_id=MessageId("unknown"),
                payer=PAYER,
                on_busy=on_busy,
            ),
        ),
    }
    with pytest.raises((TurnInProgress, MessageNotFound)):
        await asking[which]()
    model_reply.send_text(" it all")
    model_reply.finish()

    assert (await harness.end_of(first)).outcome is Outcome.FINISHED
    assert texts_of(await harness.stored(session_id)) == ["Hello?", "Half of it all"]


async def test_stopping_stores_the_reply_so_far() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    session_id = started.conversation.id
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Half of")
    await harness.log.read(
        TurnRef(ConversationRef(OWNER, session_id), started.turn.id), 0, WHEN_IT_COMES
    )

    was_stopped = await harness.stop(ConversationRef(OWNER, session_id))

    assert was_stopped
    assert model_reply.closed.is_set()
    assert texts_of(await harness.stored(session_id)) == ["Hello?", "Half of"]
    assert (await harness.end_of(started)).outcome is Outcome.INTERRUPTED


async def test_a_late_stop_never_hits_the_next_turn() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    model_reply = await fake_model.next_reply()

    was_stopped = await harness.stop(started.ref, turn_id(99))

    model_reply.finish()
    assert not was_stopped
    assert (await harness.end_of(started)).outcome is Outcome.FINISHED


async def test_nothing_is_stopped_where_nothing_runs() -> None:
    harness = a_harness()
    started = await harness.send()
    await harness.whole_turn(started)

    assert not await harness.stop(started.ref)
    assert not await harness.stop(ConversationRef(OWNER, OTHER_ID))


async def test_a_stranger_stops_and_forgets_nothing() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    model_reply = await fake_model.next_reply()

    was_stopped = await harness.stop(ConversationRef(STRANGER, started.conversation.id))
    await harness.forget(ConversationRef(STRANGER, started.conversation.id))

    model_reply.send_text("Hi!")
    model_reply.finish()
    assert not was_stopped
    assert (await harness.end_of(started)).outcome is Outcome.FINISHED
    assert texts_of(await harness.stored(started.conversation.id)) == ["Hello?", "Hi!"]


async def test_forgetting_twice_is_no_error() -> None:
    harness = a_harness()
    started = await harness.send()
    await harness.whole_turn(started)

    await harness.forget(started.ref)
    await harness.forget(started.ref)

    assert await harness.follow.running(started.ref) is None


async def test_what_cannot_be_read_can_be_forgotten() -> None:
    harness = a_harness()
    started = await harness.send()
    await harness.whole_turn(started)
    harness.store.fail_next_load(StoredStateUnreadable())

    await harness.forget(started.ref)

    assert "conversation.forgotten" in harness.telemetry.events
    assert await harness.follow.running(started.ref) is None
