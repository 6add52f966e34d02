"""The model calls tools that we run, and something fails or has no room."""

import asyncio
import json
from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.budget import Budget
from domain.model.limits import MAX_STEP_CALLS
from domain.model.message import (
    FinishReason,
    Message,
    MessageStatus,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import (
    ModelFinished,
    ModelPiece,
    NumberedPiece,
    Piece,
    TextPiece,
)
from domain.model.turn import Outcome, TurnPolicy
from domain.service.server_calls import INTERRUPTED_OUTPUT
from entrypoints.usecases.open_turn import Started
from ports.language_model import ContextExceeded, ModelError
from tests.support.builders import ID, REF, turn_of
from tests.support.dead_turns import a_dead_turn
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.harness import Harness, a_harness
from tests.support.tool_servers import (
    ScriptedToolServers,
    SteppingModel,
    WaitingToolServers,
    a_call,
)


async def reply_after(harness: Harness, started: Started) -> Message:
    await harness.end_of(started)
    return (await harness.stored(started.conversation.id)).messages[-1]


async def pieces_after(harness: Harness, started: Started) -> list[Piece]:
    return [numbered.piece for numbered in (await harness.whole_turn(started)).pieces]


def result_of(reply: Message, call_id: str = "call_1") -> ToolResultPart:
    results = [part for part in reply.parts if isinstance(part, ToolResultPart)]
    return next(result for result in results if result.call_id == call_id)


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
async def test_a_call_in_a_reply_that_was_cut_is_not_run(reason: FinishReason) -> None:
    servers = ScriptedToolServers()
    model = InstantModel(a_call(), finished=ModelFinished(reason=reason))
    harness = a_harness(model, tool_servers=servers)
    reply = await reply_after(harness, await harness.send())

    assert servers.calls == []
    assert result_of(reply).failed
    assert reply.finish_reason is reason


async def test_hundreds_of_calls_that_are_not_run_are_not_hundreds_of_events() -> None:
    calls = [a_call(f"call_{number}") for number in range(300)]
    harness = a_harness(SteppingModel(calls), tool_servers=ScriptedToolServers())
    await harness.end_of(await harness.send())

    reasons = [fields["reason"] for fields in harness.telemetry.fields_of("tool.called")]
    assert reasons == ["not-run", *[None] * MAX_STEP_CALLS]


async def test_a_long_result_is_cut_to_the_room_that_is_left() -> None:
    servers = ScriptedToolServers(answer=lambda _: json.dumps("word " * 6_000))
    model = SteppingModel([a_call("a")], [a_call("b")])
    harness = a_harness(model, tool_servers=servers, budget=Budget(tokens=2_000, reply_tokens=200))
    reply = await reply_after(harness, await harness.send())

    assert "left out, because it is too long" in result_of(reply, "a").output
    assert "left out, because it is too long" in result_of(reply, "b").output
    assert reply.text == "Done."


async def test_older_messages_leave_for_the_result_of_a_tool() -> None:
    steps: list[list[ModelPiece]] = [[TextPiece("long " * 300)], [a_call()]]
    servers = ScriptedToolServers(answer=lambda _: json.dumps("word " * 400))
    model = SteppingModel(*steps)
    harness = a_harness(
        model,
        tool_servers=servers,
        budget=Budget(tokens=1_500, reply_tokens=200),
        summaries=False,
    )
    started = await harness.send()
    await harness.end_of(started)
    again = await harness.send("And now?", session_id=started.conversation.id)
    await harness.end_of(again)
    stored = await harness.stored(started.conversation.id)

    assert model.prompts[1].messages[0].number < 3
    assert stored.working_memory_from == model.prompts[2].messages[0].number
    assert stored.messages[-1].prompt_report is not None
    assert stored.messages[-1].text == "Done."


async def test_stopping_closes_the_calls_and_followers_learn_of_it() -> None:
    servers = WaitingToolServers()
    harness = a_harness(SteppingModel([a_call()]), tool_servers=servers)
    started = await harness.send()
    call = await servers.next_call()
    async with asyncio.timeout(60):
        await harness.stop(started.ref)
        await call.closed.wait()
    reply = await reply_after(harness, started)

    lost = ToolResultPart(call_id="call_1", output=INTERRUPTED_OUTPUT, failed=True)
    assert reply.status is MessageStatus.INTERRUPTED
    assert reply.parts[-1] == lost
    assert len(await pieces_after(harness, started)) == 2


async def test_a_model_that_fails_after_a_call_keeps_the_result() -> None:
    model, servers = FakeModel(), ScriptedToolServers()
    harness = a_harness(model, tool_servers=servers)
    started = await harness.send()
    first = await model.next_reply()
    first.send(a_call())
    first.finish(FinishReason.TOOL_CALLS)
    (await model.next_reply()).fail(ModelError())
    end = await harness.end_of(started)
    reply = await reply_after(harness, started)

    assert end.outcome is Outcome.FAILED
    assert [type(part) for part in reply.parts] == [ToolCallPart, ToolResultPart]


async def test_a_prompt_that_is_refused_after_a_call_repeats_no_tool() -> None:
    model, servers = FakeModel(), ScriptedToolServers()
    harness = a_harness(model, tool_servers=servers)
    earlier = await harness.send()
    first = await model.next_reply()
    first.send_text("Hi!")
    first.finish()
    await harness.end_of(earlier)
    started = await harness.send("And now?", session_id=earlier.conversation.id)
    step = await model.next_reply()
    step.send(a_call())
    step.finish(FinishReason.TOOL_CALLS)
    (await model.next_reply()).fail(ContextExceeded())
    shorter = await model.next_reply()
    shorter.send_text("Done.")
    shorter.finish()
    reply = await reply_after(harness, started)

    assert reply.text == "Done."
    assert len(servers.calls) == 1


async def test_a_call_of_a_dead_process_is_settled_and_never_run_again() -> None:
    dead = await a_dead_turn()
    turn = turn_of(await dead.stored(ID))
    call = evolve(a_call(), server="library")
    await dead.log.append(REF, turn, [NumberedPiece(1, call)])
    servers = ScriptedToolServers()
    model = SteppingModel()
    harness = a_harness(model, tool_servers=servers, beside=dead)
    harness.clock.advance(TurnPolicy().dead_after)
    await harness.end_of(await harness.send("And now?", session_id=ID))
    reply = (await harness.stored(ID)).messages[1]

    assert reply.status is MessageStatus.INTERRUPTED
    assert result_of(reply).output == INTERRUPTED_OUTPUT
    assert model.prompts[0].messages[1].parts == reply.parts
    assert servers.calls == []


async def test_a_store_that_is_away_during_a_call_loses_nothing() -> None:
    servers = WaitingToolServers()
    harness = a_harness(SteppingModel([a_call()]), tool_servers=servers)
    started = await harness.send()
    call = await servers.next_call()
    harness.store.become_unavailable(timedelta(seconds=5))
    call.answer()
    reply = await reply_after(harness, started)

    assert result_of(reply).output == '"found"'
    assert reply.text == "Done."


async def test_a_shutdown_closes_the_calls() -> None:
    servers = WaitingToolServers()
    harness = a_harness(SteppingModel([a_call()]), tool_servers=servers)
    started = await harness.send()
    call = await servers.next_call()
    async with asyncio.timeout(60):
        await harness.runner.drain(timedelta())
        await call.closed.wait()
    reply = (await harness.stored(started.conversation.id)).messages[-1]

    assert reply.status is MessageStatus.INTERRUPTED
    assert result_of(reply).output == INTERRUPTED_OUTPUT
