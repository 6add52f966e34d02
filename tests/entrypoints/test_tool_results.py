"""Continuing a reply with the results of its tool calls."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from domain.model.errors import (
    ConversationNotFound,
    InvalidInput,
    RequestAlreadyAnswered,
    TurnInProgress,
)
from domain.model.identifiers import ConversationRef
from domain.model.message import StepMark, TextPart, ToolCallPart, ToolResultPart
from domain.model.piece import (
    ModelFinished,
    ModelPiece,
    NumberedPiece,
    TextPiece,
    ToolCallPiece,
)
from domain.model.prompt import Prompt
from domain.model.rate_limits import Quota
from domain.model.turn import IdempotencyKey, Outcome
from entrypoints.usecases.open_turn import Started
from entrypoints.usecases.submit_tool_results import SubmitToolResults, ToolResults
from ports.errors import TooManyRequests
from ports.language_model import ModelUnavailable
from tests.support.builders import OTHER_ID, OWNER, a_limit
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.harness import PAYER, Harness, a_harness

CALL = ToolCallPiece(call_id="a", name="look", arguments="{}")
RESULT = ToolResultPart(call_id="a", output='"rain"')
KEPT_AFTER_END = timedelta(minutes=1)


async def submit_results(harness: Harness, started: Started, *results: ToolResultPart) -> Started:
    answers = ToolResults(
        session_id=started.conversation.id, results=results or (RESULT,), payer=PAYER
    )
    return await harness.container.resolve(SubmitToolResults)(OWNER, answers)


async def a_waiting_turn(harness: Harness) -> Started:
    """A turn whose reply waits for a tool."""
    started = await harness.send("Look!")
    await harness.end_of(started)
    return started


async def test_the_same_message_goes_on() -> None:
    harness = a_harness(InstantModel("Wait.", CALL))
    started = await a_waiting_turn(harness)
    continued = await submit_results(harness, started)
    await harness.end_of(continued)

    reply = (await harness.stored(started.conversation.id)).messages[-1]
    assert continued.turn.reply_id == started.turn.reply_id == reply.id
    parts = (TextPart("Wait."), ToolCallPart(call_id="a", name="look", arguments="{}"))
    assert reply.parts[:4] == (*parts, RESULT, StepMark())


async def test_a_continued_turn_without_a_log_streams_only_what_it_added() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send("Look!")
    asking = await fake_model.next_reply()
    asking.send(CALL)
    asking.finish()
    await harness.end_of(started)
    continued = await submit_results(harness, started)
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Rain")
    model_reply.finish()
    await harness.end_of(continued)
    harness.clock.advance(KEPT_AFTER_END)

    assert (await harness.whole_turn(continued)).pieces == (NumberedPiece(1, TextPiece("Rain")),)


async def test_the_prior_parts_of_a_continued_message_can_be_read() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send("Look!")
    asking = await fake_model.next_reply()
    asking.send(CALL)
    asking.finish()
    await harness.end_of(started)
    session_id = started.conversation.id
    before = await harness.follow.prior_parts(ConversationRef(OWNER, session_id), started.turn)
    continued = await submit_results(harness, started)
    held = await harness.follow.prior_parts(ConversationRef(OWNER, session_id), continued.turn)
    (await fake_model.next_reply()).finish()
    await harness.end_of(continued)

    assert before == ()
    assert held == (ToolCallPart(call_id="a", name="look", arguments="{}"), RESULT)
    await harness.forget(ConversationRef(OWNER, session_id))
    assert (
        await harness.follow.prior_parts(ConversationRef(OWNER, session_id), continued.turn) == ()
    )


async def test_results_without_an_open_call_change_nothing() -> None:
    harness = a_harness(InstantModel("Wait.", CALL))
    started = await a_waiting_turn(harness)
    before = await harness.stored(started.conversation.id)

    with pytest.raises(InvalidInput):
        await submit_results(harness, started, ToolResultPart(call_id="b", output="1"))
    assert await harness.stored(started.conversation.id) == before


async def test_the_same_results_join_the_turn_that_continues_with_them() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send("Look!")
    asking = await fake_model.next_reply()
    asking.send(CALL)
    asking.finish()
    await harness.end_of(started)
    continued, again = [await submit_results(harness, started) for _ in range(2)]

    assert continued.turn == again.turn
    with pytest.raises(TurnInProgress):
        await submit_results(harness, started, ToolResultPart(call_id="b", output="1"))
    (await fake_model.next_reply()).finish()
    await harness.end_of(continued)


class FailingOnce(InstantModel):
    """Calls a tool, then fails before its first piece, then replies."""

    def __init__(self) -> None:
        super().__init__("rain")

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        async for piece in super().reply(prompt):
            if len(self.prompts) == 2:
                raise ModelUnavailable
            yield CALL if len(self.prompts) == 1 and isinstance(piece, TextPiece) else piece


@pytest.mark.parametrize("request_key", [None, IdempotencyKey(digest=b"k", body_digest=b"b")])
async def test_results_can_be_sent_again_after_a_failure(
    request_key: IdempotencyKey | None,
) -> None:
    harness = a_harness(FailingOnce())
    started = await a_waiting_turn(harness)
    answers = ToolResults(
        session_id=started.conversation.id,
        results=(RESULT,),
        payer=PAYER,
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


async def test_results_for_a_missing_conversation_are_refused() -> None:
    harness = a_harness()
    answers = ToolResults(session_id=OTHER_ID, results=(RESULT,), payer=PAYER)

    with pytest.raises(ConversationNotFound):
        await harness.container.resolve(SubmitToolResults)(OWNER, answers)


async def test_results_count_as_stored() -> None:
    harness = a_harness(InstantModel("Wait.", CALL), limits=[a_limit(Quota.STORED_BYTES, 100)])
    started = await a_waiting_turn(harness)

    with pytest.raises(TooManyRequests):
        await submit_results(harness, started, ToolResultPart(call_id="a", output="x" * 101))


async def test_results_repeated_after_another_turn_are_not_answered_again() -> None:
    harness = a_harness(InstantModel("Wait.", CALL))
    started = await a_waiting_turn(harness)
    answers = ToolResults(
        session_id=started.conversation.id,
        results=(RESULT,),
        payer=PAYER,
        idempotency=IdempotencyKey(digest=b"k", body_digest=b"b"),
    )
    submit = harness.container.resolve(SubmitToolResults)
    await harness.end_of(await submit(OWNER, answers))
    await harness.end_of(await harness.send("And?", session_id=started.conversation.id))

    with pytest.raises(RequestAlreadyAnswered):
        await submit(OWNER, answers)
