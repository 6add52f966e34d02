"""Going on with a reply whose tools have answered."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from domain.model.errors import ConversationNotFound, InvalidInput, TurnInProgress
from domain.model.identifiers import ConversationRef
from domain.model.message import StepMark, TextPart, ToolCallPart, ToolResultPart
from domain.model.piece import ModelFinished, NumberedPiece, Piece, TextPiece, ToolCallPiece
from domain.model.prompt import Prompt
from domain.model.turn import IdempotencyKey, Outcome
from entrypoints.usecases.open_turn import Started
from entrypoints.usecases.submit_tool_results import SubmitToolResults, ToolResults
from ports.errors import TooManyRequests
from ports.language_model import ModelUnavailable
from ports.rate_limiter import Quota
from tests.support.builders import OTHER_ID, OWNER
from tests.support.fake_model import FakeModel
from tests.support.fakes import InstantModel
from tests.support.harness import ADDRESS, Harness, a_harness

CALL = ToolCallPiece(call_id="a", name="look", arguments="{}")
RESULT = ToolResultPart(call_id="a", output='"rain"')
KEPT_AFTER_END = timedelta(minutes=1)


async def answering(harness: Harness, started: Started, *results: ToolResultPart) -> Started:
    answers = ToolResults(
        session_id=started.conversation.id, results=results or (RESULT,), address=ADDRESS
    )
    return await harness.container.resolve(SubmitToolResults)(OWNER, answers)


async def waiting(harness: Harness) -> Started:
    """A turn whose reply waits for a tool."""
    started = await harness.send("Look!")
    await harness.end_of(started)
    return started


async def test_the_same_message_goes_on() -> None:
    harness = a_harness(InstantModel("Wait.", CALL))
    started = await waiting(harness)
    going_on = await answering(harness, started)
    await harness.end_of(going_on)

    reply = (await harness.stored(started.conversation.id)).messages[-1]
    assert going_on.turn.reply_id == started.turn.reply_id == reply.id
    parts = (TextPart("Wait."), ToolCallPart(call_id="a", name="look", arguments="{}"))
    assert reply.parts[:4] == (*parts, RESULT, StepMark())


async def test_only_what_it_adds_is_told_when_its_log_is_gone() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send("Look!")
    asking = await fake_model.next_reply()
    asking.give(CALL)
    asking.finish()
    await harness.end_of(started)
    going_on = await answering(harness, started)
    model_reply = await fake_model.next_reply()
    model_reply.say("Rain")
    model_reply.finish()
    await harness.end_of(going_on)
    harness.clock.advance(KEPT_AFTER_END)

    assert (await harness.whole_turn(going_on)).pieces == (NumberedPiece(1, TextPiece("Rain")),)


async def test_what_the_message_held_before_is_known_while_it_goes_on() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send("Look!")
    asking = await fake_model.next_reply()
    asking.give(CALL)
    asking.finish()
    await harness.end_of(started)
    session_id = started.conversation.id
    before = await harness.follow.said_before(ConversationRef(OWNER, session_id), started.turn)
    going_on = await answering(harness, started)
    held = await harness.follow.said_before(ConversationRef(OWNER, session_id), going_on.turn)
    (await fake_model.next_reply()).finish()
    await harness.end_of(going_on)

    assert before == ()
    assert held == (ToolCallPart(call_id="a", name="look", arguments="{}"), RESULT)
    await harness.forget(ConversationRef(OWNER, session_id))
    assert await harness.follow.said_before(ConversationRef(OWNER, session_id), going_on.turn) == ()


async def test_results_nobody_asked_for_change_nothing() -> None:
    harness = a_harness(InstantModel("Wait.", CALL))
    started = await waiting(harness)
    before = await harness.stored(started.conversation.id)

    with pytest.raises(InvalidInput):
        await answering(harness, started, ToolResultPart(call_id="b", output="1"))
    assert await harness.stored(started.conversation.id) == before


async def test_the_same_results_join_the_turn_that_goes_on_with_them() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send("Look!")
    asking = await fake_model.next_reply()
    asking.give(CALL)
    asking.finish()
    await harness.end_of(started)
    going_on, again = [await answering(harness, started) for _ in range(2)]

    assert going_on.turn == again.turn
    with pytest.raises(TurnInProgress):
        await answering(harness, started, ToolResultPart(call_id="b", output="1"))
    (await fake_model.next_reply()).finish()
    await harness.end_of(going_on)


class FailingOnce(InstantModel):
    """Asks for a tool, fails before its first piece, and answers when it is asked again."""

    def __init__(self) -> None:
        super().__init__("rain")

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        async for said in super().reply(prompt):
            if len(self.prompts) == 2:
                raise ModelUnavailable
            yield CALL if len(self.prompts) == 1 and isinstance(said, TextPiece) else said


@pytest.mark.parametrize("request_key", [None, IdempotencyKey(digest=b"k", body_digest=b"b")])
async def test_results_can_be_given_again_after_a_failure(
    request_key: IdempotencyKey | None,
) -> None:
    harness = a_harness(FailingOnce())
    started = await waiting(harness)
    answers = ToolResults(
        session_id=started.conversation.id,
        results=(RESULT,),
        address=ADDRESS,
        idempotency=request_key,
    )
    failed = await harness.container.resolve(SubmitToolResults)(OWNER, answers)
    first = await harness.end_of(failed)
    second = await harness.end_of(
        await harness.container.resolve(SubmitToolResults)(OWNER, answers)
    )

    reply = (await harness.stored(started.conversation.id)).messages[-1]
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.FINISHED)
    assert reply.parts[1:] == (RESULT, StepMark(), TextPart("rain"))


async def test_results_to_what_is_gone_find_nothing() -> None:
    harness = a_harness()
    answers = ToolResults(session_id=OTHER_ID, results=(RESULT,), address=ADDRESS)

    with pytest.raises(ConversationNotFound):
        await harness.container.resolve(SubmitToolResults)(OWNER, answers)


async def test_results_count_as_stored() -> None:
    harness = a_harness(InstantModel("Wait.", CALL), per_hour={Quota.STORED: 100})
    started = await waiting(harness)

    with pytest.raises(TooManyRequests):
        await answering(harness, started, ToolResultPart(call_id="a", output="x" * 101))
