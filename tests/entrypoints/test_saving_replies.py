"""Saving a reply while the store is away, or after the conversation has changed."""

import asyncio
from datetime import timedelta

from domain.model.conversation import Conversation
from domain.model.identifiers import TurnRef
from domain.model.message import MessageStatus
from domain.model.piece import TextPiece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from domain.service.turn_lifecycle import settle
from ports.turn_log import Batch
from tests.support.builders import ID, OWNER, REF, a_conversation, texts_of, turn_id, with_question
from tests.support.clocks import NOON
from tests.support.fake_model import FakeModel, InstantModel, ModelReply
from tests.support.fakes import FakeSignals
from tests.support.harness import WHEN_IT_COMES, Harness, a_harness

WITHIN = TurnPolicy().save_timeout
A_MOMENT = timedelta(seconds=1)


async def a_turn(harness: Harness) -> Conversation:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    return conversation


async def logged_end(harness: Harness, number: int = 1) -> TurnEnd:
    end = (await harness.log.read(TurnRef(REF, turn_id(number)), 0, timedelta())).end
    assert end is not None
    return end


async def half_a_reply(
    harness: Harness, fake_model: FakeModel
) -> tuple["asyncio.Task[None]", ModelReply]:
    making = asyncio.create_task(harness.run_turn(await a_turn(harness)))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Half of")
    await harness.log.read(TurnRef(REF, turn_id()), 0, WHEN_IT_COMES)
    return making, model_reply


async def test_a_reply_is_saved_when_the_store_comes_back_in_time() -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)
    harness.store.become_unavailable(WITHIN - A_MOMENT)

    await harness.run_turn(conversation)

    stored = await harness.stored(ID)
    assert harness.store.rejected_calls > 10
    assert texts_of(stored) == ["Hello?", "Hi!"]
    assert (await logged_end(harness)).outcome is Outcome.FINISHED
    assert (await logged_end(harness)).expires_at == stored.expires_at


async def test_a_reply_that_cannot_be_saved_in_time_ends_as_not_saved() -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)
    harness.store.become_unavailable(WITHIN + A_MOMENT)

    await harness.run_turn(conversation)

    assert await logged_end(harness) == TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")
    assert harness.telemetry.events == ["turn.not-saved"]


async def test_a_turn_does_not_look_dead_while_its_reply_waits_for_the_store() -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)
    harness.store.become_unavailable(WITHIN - A_MOMENT)
    making = asyncio.create_task(harness.run_turn(conversation))
    longest = timedelta()
    while not making.done():
        longest = max(longest, await harness.log.silence(TurnRef(REF, turn_id())))
        await asyncio.sleep(0)

    assert longest <= A_MOMENT


async def test_a_reply_is_stored_once_if_only_the_response_was_lost() -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)
    harness.store.responses_to_lose = 2

    await harness.run_turn(conversation)

    assert texts_of(await harness.stored(ID)) == ["Hello?", "Hi!"]
    assert (await logged_end(harness)).outcome is Outcome.FINISHED


async def test_a_conversation_forgotten_during_its_reply_is_not_restored() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    (await fake_model.next_reply()).send_text("Half of")
    following = asyncio.create_task(harness.whole_turn(started))

    await harness.forget(started.ref)

    gone = TurnEnd(outcome=Outcome.GONE, error="conversation_gone")
    await harness.runner.drain(WHEN_IT_COMES)
    assert (await following).end == gone
    assert await harness.whole_turn(started) == Batch(end=gone)
    assert harness.telemetry.events == ["conversation.forgotten", "service.draining", "turn.gone"]


async def test_a_conversation_forgotten_before_the_reply_is_saved_is_not_restored() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    making, model_reply = await half_a_reply(harness, fake_model)
    await harness.store.forget(REF)

    model_reply.finish()
    await making

    assert harness.telemetry.emitted[-1][0] == "turn.gone"
    assert harness.telemetry.emitted[-1][1]["error"] == "conversation_gone"
    assert await harness.follow.running(REF) is None


async def test_a_turn_that_was_settled_writes_no_more() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    making, model_reply = await half_a_reply(harness, fake_model)
    pieces = [TextPiece("Half of")]
    await harness.store.update(
        REF, lambda conversation: settle(conversation, turn_id(), pieces, NOON)
    )
    await harness.store.update(REF, lambda conversation: with_question(conversation, "Next?", 2))

    model_reply.send_text(" something late")
    await making

    stored = await harness.stored(ID)
    assert model_reply.closed.is_set()
    assert texts_of(stored) == ["Hello?", "Half of", "Next?"]
    assert stored.messages[1].status is MessageStatus.INTERRUPTED
    assert stored.open_turn is not None
    assert await harness.log.read(TurnRef(REF, turn_id(2)), 0, timedelta()) == Batch()
    assert harness.telemetry.emitted[-1][1]["error"] == "turn_superseded"


async def test_at_a_shutdown_saving_is_not_tried_again() -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation, signals = await a_turn(harness), FakeSignals()
    signals.shutting_down = True
    started_at = harness.clock.monotonic()
    harness.store.become_unavailable(10 * WITHIN)
    await harness.run_turn(conversation, signals)

    assert (await logged_end(harness)).outcome is Outcome.NOT_SAVED
    assert harness.clock.monotonic() - started_at < A_MOMENT
