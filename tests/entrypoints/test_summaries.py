"""Summaries: written in the background after a turn, and paid for by whoever paid for the turn."""

import asyncio
from datetime import timedelta

from attrs import evolve

from domain.model.rate_limits import Quota
from entrypoints.usecases.open_turn import Started
from tests.support.builders import ID, OTHER_ID, OWNER, a_limit
from tests.support.fake_model import USAGE, BusyModel, ModelReply
from tests.support.harness import Harness, a_harness
from tests.support.summaries import (
    A_MINUTE,
    BUDGET,
    a_long_conversation,
    a_summarizing_harness,
    fold,
    is_untouched,
    settled,
    start,
    stored_long,
    turns_until_due,
    write,
)


async def test_after_enough_turns_the_oldest_are_replaced_with_a_summary() -> None:
    harness, model = a_summarizing_harness()
    session_id = await turns_until_due(harness)
    reply = await model.summaries.next_reply()
    before = await harness.stored(session_id)
    write("They spoke.")(reply)
    await settled(harness)

    assert is_untouched(before)
    after = await harness.stored(session_id)
    assert after.summary == "They spoke."
    assert after.summarized_until == after.working_memory_from > 5
    assert after.messages == before.messages
    assert after.folding is None


async def test_the_next_turn_sees_the_summary_instead_of_the_oldest_messages() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    await fold(harness, model, write())
    await harness.end_of(await harness.send("And now?", session_id=ID))

    [prompt] = model.prompts
    assert prompt.summary == "They spoke."
    assert "Question 1." not in "".join(message.text for message in prompt.messages)
    assert prompt.messages[-1].text == "And now?"


async def test_a_turn_does_not_wait_for_the_summary() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    summarizing = await model.summaries.next_reply()
    end = await harness.end_of(await harness.send("And now?", session_id=ID))
    write()(summarizing)
    await settled(harness)

    assert end.is_complete
    conversation = await harness.stored(ID)
    assert conversation.summary == "They spoke."
    assert conversation.messages[-2].text == "And now?"


async def waiting(harness: Harness, model: BusyModel) -> tuple[Started, ModelReply, ModelReply]:
    """A turn that waits for the model while a summary of its conversation is being written."""
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    summarizing = await model.summaries.next_reply()
    started = await harness.send("And now?", session_id=ID)
    return started, await model.users.next_reply(), summarizing


async def after_five_seconds(harness: Harness, started: Started) -> None:
    harness.clock.advance(timedelta(seconds=5))
    harness.runner.wake(started.turn.id)
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_summary_gives_way_to_a_turn_that_the_model_keeps_waiting() -> None:
    model = BusyModel()
    harness = a_harness(model, budget=BUDGET)
    started, reply, summarizing = await waiting(harness, model)
    await after_five_seconds(harness, started)
    async with asyncio.timeout(10):
        await summarizing.closed.wait()
    write("Now.")(reply)
    await harness.end_of(started)
    await settled(harness)

    conversation = await harness.stored(ID)
    assert conversation.summary is None
    assert conversation.messages[-1].text == "Now."
    assert model.summaries.call_count == 1


async def test_a_summary_that_has_given_way_is_written_after_a_turn_a_minute_later() -> None:
    model = BusyModel()
    harness = a_harness(model, budget=BUDGET)
    started, reply, _ = await waiting(harness, model)
    await after_five_seconds(harness, started)
    write("Now.")(reply)
    await harness.end_of(started)
    harness.clock.advance(A_MINUTE)
    later = await harness.send("And then?", session_id=ID)
    write("Then.")(await model.users.next_reply())
    await harness.end_of(later)
    write("They spoke.")(await model.summaries.next_reply())
    await settled(harness)

    assert (await harness.stored(ID)).summary == "They spoke."


async def test_a_summary_goes_on_beside_a_reply_that_has_begun() -> None:
    model = BusyModel()
    harness = a_harness(model, budget=BUDGET)
    started, reply, summarizing = await waiting(harness, model)
    reply.send_text("Now")
    await after_five_seconds(harness, started)
    reply.finish()
    await harness.end_of(started)

    assert not summarizing.closed.is_set()
    write("They spoke.")(summarizing)
    await settled(harness)
    assert (await harness.stored(ID)).summary == "They spoke."


async def test_a_conversation_with_room_is_left_alone() -> None:
    harness, model = a_summarizing_harness()
    conversation = a_long_conversation(exchanges=5)
    await harness.store.create(OWNER, conversation)
    start(harness, conversation)
    await settled(harness)

    assert model.summaries.call_count == 0


async def test_the_operator_can_switch_summaries_off() -> None:
    harness, model = a_summarizing_harness(summaries=False)
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    await settled(harness)

    assert model.summaries.call_count == 0


async def test_what_left_without_a_summary_is_folded_in_as_many_rounds_as_it_takes() -> None:
    harness, model = a_summarizing_harness()
    forgetful = evolve(a_long_conversation(exchanges=16), working_memory_from=25)
    await harness.store.create(OWNER, forgetful)
    await harness.end_of(await harness.send("And now?", session_id=ID))
    first = await model.summaries.next_reply()
    write("Summary 1.")(first)
    second = await model.summaries.next_reply()
    write("Summary 2.")(second)
    await settled(harness)

    assert (first.prompt.summary, second.prompt.summary) == (None, "Summary 1.")
    conversation = await harness.stored(ID)
    assert conversation.summary == "Summary 2."
    assert conversation.summarized_until == conversation.working_memory_from == 25


# What it says to operators, and who pays


async def test_a_summary_is_reported_with_counts_only() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    conversation = await fold(harness, model, write())

    [fields] = harness.telemetry.fields_of("summary.folded")
    assert fields["session_id"] == ID
    assert fields["messages"] == conversation.summarized_until - 1
    assert fields["tokens"] == BUDGET.rates.of_text("They spoke.")
    assert (fields["input_tokens"], fields["output_tokens"]) == (7, 3)
    assert "spoke" not in str(harness.telemetry.emitted)


async def test_the_tokens_of_a_summary_count_for_whose_turn_it_was() -> None:
    limits = [a_limit(Quota.TOKENS, (USAGE.input_tokens or 0) + (USAGE.output_tokens or 0))]
    harness, model = a_summarizing_harness(limits=limits)
    await stored_long(harness)
    await stored_long(harness, OTHER_ID)
    await fold(harness, model, write())
    start(harness, await harness.stored(OTHER_ID))
    await settled(harness)

    assert model.summaries.call_count == 1
    assert is_untouched(await harness.stored(OTHER_ID))
    [fields] = harness.telemetry.fields_of("summary.failed")
    assert fields["error"] == "too_many_requests"
