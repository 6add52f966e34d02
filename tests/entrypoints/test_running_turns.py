"""A running turn: its pieces, its end, its telemetry."""

import asyncio
from datetime import timedelta

import pytest
from attrs import asdict

from domain.model.conversation import Conversation
from domain.model.identifiers import TurnRef
from domain.model.message import FinishReason, MessageStatus, ToolCallPart
from domain.model.piece import ToolCallPiece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy, TurnStatus
from ports.language_model import (
    ContentFiltered,
    ContextExceeded,
    FailureDetails,
    MalformedStream,
    ModelBusy,
    ModelError,
    ModelRejectedCredentials,
    ModelRejectedRequest,
    ModelTimedOut,
    ModelUnavailable,
)
from ports.turn_log import Batch
from tests.support.builders import (
    ID,
    OWNER,
    REF,
    a_conversation,
    after_turns,
    batch_of,
    texts_of,
    turn_id,
    with_question,
)
from tests.support.clocks import HastyClock
from tests.support.fake_model import USAGE, FakeModel, InstantModel
from tests.support.fakes import FakeSignals, TickingSignals
from tests.support.harness import WHEN_IT_COMES, Harness, a_harness

FAILURES: list[ModelError] = [
    ContentFiltered(),
    ContextExceeded(),
    MalformedStream(),
    ModelBusy(),
    ModelError(),
    ModelRejectedCredentials(),
    ModelRejectedRequest(),
    ModelTimedOut(),
    ModelUnavailable(),
]


async def a_turn(harness: Harness, text: str = "Hello?") -> Conversation:
    conversation = with_question(a_conversation(), text)
    await harness.store.create(OWNER, conversation)
    return conversation


async def seen_in_log(harness: Harness) -> Batch:
    return await harness.log.read(TurnRef(REF, turn_id()), 0, timedelta())


async def test_the_pieces_are_logged_in_order_and_stored_as_one_reply() -> None:
    harness = a_harness(InstantModel("Hi", " there"))

    await harness.run_turn(await a_turn(harness))

    stored = await harness.stored(ID)
    end = TurnEnd(
        outcome=Outcome.FINISHED,
        finish_reason=FinishReason.STOP,
        usage=USAGE,
        expires_at=stored.expires_at,
    )
    assert await seen_in_log(harness) == batch_of("Hi", " there", end=end)
    assert texts_of(stored) == ["Hello?", "Hi there"]
    assert stored.messages[-1].usage == USAGE


async def test_a_follower_that_sees_the_end_finds_the_reply_in_the_history() -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)

    async def following() -> Conversation:
        async for batch in harness.follow.batches(TurnRef(REF, turn_id()), WHEN_IT_COMES):
            if batch.end is not None:
                break
        # Read behind the shaky store's back: at this very moment.
        return await harness.store.load_now(REF)

    follower = asyncio.create_task(following())
    await harness.run_turn(conversation)

    assert texts_of(await follower) == ["Hello?", "Hi!"]


async def test_a_call_of_a_tool_is_stored_as_one() -> None:
    halves = [ToolCallPiece(call_id="c", name="look", arguments=half) for half in ('{"a"', ":1}")]
    harness = a_harness(InstantModel(*halves))

    await harness.run_turn(await a_turn(harness))

    reply = (await harness.stored(ID)).messages[-1]
    assert reply.parts == (ToolCallPart(call_id="c", name="look", arguments='{"a":1}'),)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.code)
async def test_the_turn_fails_with_the_models_error(failure: ModelError) -> None:
    harness = a_harness(InstantModel("Well,", error=failure))

    await harness.run_turn(await a_turn(harness))

    stored = await harness.stored(ID)
    assert stored.turn is not None
    assert (stored.turn.status, stored.turn.error) == (TurnStatus.FAILED, failure.code)
    assert stored.messages[-1].status is MessageStatus.FAILED
    assert stored.messages[-1].text == "Well,"
    end = TurnEnd(outcome=Outcome.FAILED, error=failure.code, expires_at=stored.expires_at)
    assert await seen_in_log(harness) == batch_of("Well,", end=end)


async def test_a_crash_is_an_internal_error_and_its_message_is_never_emitted() -> None:
    harness = a_harness(InstantModel("Oh", error=RuntimeError("planted words")))

    await harness.run_turn(await a_turn(harness, "planted question"))

    stored = await harness.stored(ID)
    assert stored.turn is not None
    assert stored.turn.error == "internal_error"
    assert harness.telemetry.emitted[0] == ("turn.crashed", {"kind": "RuntimeError"})
    assert "planted" not in str(harness.telemetry.emitted)


async def test_telemetry_has_counts_and_codes_only() -> None:
    harness = a_harness(InstantModel("Hi", "!"))

    await harness.run_turn(await a_turn(harness))

    assert harness.telemetry.emitted == [
        (
            "turn.finished",
            {
                "session_id": ID,
                "turn": 1,
                "model": "instant",
                "pieces": 2,
                "finish_reason": "stop",
                "error": None,
                "input_tokens": 7,
                "output_tokens": 3,
                "seconds": 0.0,
                "hook_seconds": None,
                "steps": None,
            },
        )
    ]


async def test_a_failure_is_emitted_with_what_the_model_server_answered() -> None:
    details = FailureDetails(host="model.test", status=404, provider_code="model_not_found")
    failure = ModelRejectedRequest()
    failure.details = details
    harness = a_harness(InstantModel(error=failure))

    await harness.run_turn(await a_turn(harness))

    [fields] = harness.telemetry.fields_of("turn.failed")
    assert fields["error"] == "model_request_rejected"
    assert {**fields, "reason": None, "parameter": None} == {**fields, **asdict(details)}


async def test_a_model_that_is_silent_does_not_look_dead() -> None:
    clock, fake_model = HastyClock(), FakeModel()
    harness = a_harness(fake_model, clock=clock)
    making = asyncio.create_task(harness.run_turn(await a_turn(harness), TickingSignals(clock)))
    model_reply = await fake_model.next_reply()
    began = clock.monotonic()
    for _ in range(500):
        await asyncio.sleep(0)

    silence = await harness.log.silence(TurnRef(REF, turn_id()))

    model_reply.finish()
    await making
    assert clock.monotonic() - began > TurnPolicy().dead_after
    assert silence <= timedelta(seconds=1)


async def test_a_process_that_shuts_down_stores_the_reply_so_far() -> None:
    fake_model, signals = FakeModel(), FakeSignals()
    harness = a_harness(fake_model)
    making = asyncio.create_task(harness.run_turn(await a_turn(harness), signals))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Half of")
    await harness.log.read(TurnRef(REF, turn_id()), 0, WHEN_IT_COMES)

    signals.shutting_down = True
    signals.wake()
    await making

    stored = await harness.stored(ID)
    assert model_reply.closed.is_set()
    assert texts_of(stored) == ["Hello?", "Half of"]
    assert stored.messages[-1].status is MessageStatus.INTERRUPTED


async def test_a_conversation_without_an_open_turn_gets_no_reply() -> None:
    model = InstantModel("Hi!")

    await a_harness(model).run_turn(after_turns(1))

    assert model.prompts == []
