"""Summaries that fail, that two processes want to write, or whose process ends."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from adapters.system.turn_runner import MAX_BACKGROUND
from domain.model.conversation import Conversation, Folding, truncated, with_retention_from
from domain.model.identifiers import ProcessId, SessionId
from domain.model.message import FinishReason
from domain.model.piece import ReasoningPiece
from domain.service.summarizing import CLAIM_LIFETIME
from ports.language_model import (
    ContentFiltered,
    ContextExceeded,
    ModelBusy,
    ModelRejectedRequest,
    ModelUnavailable,
)
from tests.support.builders import ID, OTHER_ID, OWNER, PROCESS, REF
from tests.support.clocks import NOON
from tests.support.fake_model import InstantModel, ModelReply
from tests.support.harness import Harness, a_harness
from tests.support.summaries import (
    A_MINUTE,
    BUDGET,
    OTHER_PROCESS,
    a_long_conversation,
    a_summarizing_harness,
    fold,
    is_untouched,
    settled,
    start,
    stored_long,
    write,
)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda reply: reply.fail(ModelUnavailable()), "model_unavailable"),
        (lambda reply: reply.fail(ContentFiltered()), "model_content_filtered"),
        (lambda reply: reply.finish(FinishReason.CONTENT_FILTER), "model_content_filtered"),
        (lambda reply: reply.finish(), "summary_empty"),
        (lambda reply: (reply.send(ReasoningPiece("Hm")), reply.finish()), "summary_empty"),
        (lambda reply: (reply.send_text("They"), reply.fail()), "model_failed"),
    ],
)
async def test_a_failure_leaves_everything_as_it_was(
    end: Callable[[ModelReply], None], code: str
) -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    conversation = await fold(harness, model, end)

    assert conversation == a_long_conversation()
    [fields] = harness.telemetry.fields_of("summary.failed")
    assert (fields["error"], fields["session_id"]) == (code, ID)


async def test_the_old_summary_stays_if_the_next_one_fails() -> None:
    harness, model = a_summarizing_harness()
    old: dict[str, Any] = {"summary": "Old.", "summarized_until": 3, "working_memory_from": 5}
    await harness.store.create(OWNER, evolve(a_long_conversation(), **old))
    conversation = await fold(harness, model, lambda reply: reply.fail())

    assert conversation == evolve(a_long_conversation(), **old)


async def test_a_model_that_writes_for_too_long_is_stopped() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    reply = await model.summaries.next_reply()
    harness.clock.advance(CLAIM_LIFETIME - timedelta(seconds=1))
    reply.send_text("They")
    await settled(harness)

    assert is_untouched(await harness.stored(ID))
    assert reply.closed.is_set()
    [fields] = harness.telemetry.fields_of("summary.failed")
    assert fields["error"] == "model_timeout"


async def test_after_a_refused_prompt_the_next_attempt_is_shorter() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    prompts = []

    def refuse(reply: ModelReply) -> None:
        prompts.append(reply.prompt)
        reply.fail(ContextExceeded(window=1_400, prompt_tokens=1_500))

    await fold(harness, model, refuse)
    harness.clock.advance(A_MINUTE)
    start(harness, await harness.stored(ID))
    prompts.append((await model.summaries.next_reply()).prompt)
    first, second = [len(prompt.messages[0].text) for prompt in prompts]
    harness.runner.refuse_new_turns()
    await settled(harness)

    assert second < first


async def test_after_a_failure_a_conversation_is_left_alone_for_a_minute() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    await fold(harness, model, lambda reply: reply.finish())
    harness.clock.advance(A_MINUTE - timedelta(seconds=1))
    start(harness, await harness.stored(ID))
    await settled(harness)
    assert model.summaries.call_count == 1

    harness.clock.advance(timedelta(seconds=1))
    assert (await fold(harness, model, write())).summary == "They spoke."


async def test_a_conversation_that_fails_again_and_again_is_tried_ever_less_often() -> None:
    harness, model = a_summarizing_harness()
    await harness.store.create(OWNER, with_retention_from(a_long_conversation(), NOON))
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        await fold(harness, model, lambda reply: reply.finish())
        calls = model.summaries.call_count
        harness.clock.advance(pause * A_MINUTE - timedelta(seconds=1))
        start(harness, await harness.stored(ID))
        await settled(harness)
        assert model.summaries.call_count == calls
        harness.clock.advance(timedelta(seconds=1))

    assert (await fold(harness, model, write())).summary == "They spoke."


@pytest.mark.parametrize(
    ("failure", "others_wait"),
    [(ModelBusy(), True), (ContentFiltered(), False), (ModelRejectedRequest(), False)],
)
async def test_while_the_model_fails_all_conversations_are_left_alone(
    failure: Exception,
    others_wait: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    await stored_long(harness, OTHER_ID)
    await fold(harness, model, lambda reply: reply.fail(failure))
    start(harness, await harness.stored(OTHER_ID))
    if not others_wait:
        write()(await model.summaries.next_reply())
    await settled(harness)

    assert is_untouched(await harness.stored(OTHER_ID)) is others_wait


async def test_a_summary_is_stored_when_the_store_comes_back() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    reply = await model.summaries.next_reply()
    harness.store.become_unavailable(timedelta(seconds=20))
    write()(reply)
    await settled(harness)

    assert harness.store.rejected_calls > 0
    assert (await harness.stored(ID)).summary == "They spoke."


async def test_a_conversation_that_is_forgotten_meanwhile_stays_forgotten() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    reply = await model.summaries.next_reply()
    await harness.forget(REF)
    write()(reply)
    await settled(harness)

    assert harness.telemetry.events == ["conversation.forgotten"]


async def test_a_summary_of_messages_that_were_edited_meanwhile_is_dropped() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    reply = await model.summaries.next_reply()
    await harness.store.update(REF, lambda conversation: truncated(conversation, 3))
    write()(reply)
    await settled(harness)

    assert await harness.stored(ID) == truncated(a_long_conversation(), 3)
    assert harness.telemetry.events == []


# Several at once, and crashes


async def test_a_conversation_is_folded_once_at_a_time() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    start(harness, await harness.stored(ID))
    write()(await model.summaries.next_reply())
    await settled(harness)

    assert model.summaries.call_count == 1


async def test_a_conversation_waits_for_its_summary_once_however_many_turns_end() -> None:
    harness, model = a_summarizing_harness()
    others = [SessionId(f"{number:032x}") for number in range(MAX_BACKGROUND)]
    for session_id in (*others, ID):
        start(harness, await stored_long(harness, session_id))
    for _ in range(3):
        start(harness, await harness.stored(ID))

    assert len(harness.runner.background) == MAX_BACKGROUND + 1
    for _ in range(MAX_BACKGROUND + 1):
        write()(await model.summaries.next_reply())
    await settled(harness)
    assert (await harness.stored(ID)).summary == "They spoke."


async def a_claimed_conversation(harness: Harness, process: ProcessId) -> Conversation:
    """A stored conversation that ``process`` was folding when it ended."""
    await stored_long(harness)
    folding = Folding(process=process, since=harness.clock.now(), until=5)
    return await harness.store.update(REF, lambda stored: evolve(stored, folding=folding))


async def test_two_processes_never_fold_the_same() -> None:
    first, model = a_summarizing_harness()
    second = a_harness(model, budget=BUDGET, process=OTHER_PROCESS, beside=first)
    await stored_long(first)
    conversation = await first.stored(ID)
    start(first, conversation)
    start(second, conversation)
    reply = await model.summaries.next_reply()
    start(second, await first.stored(ID))
    write()(reply)
    await settled(first)
    await settled(second)

    assert model.summaries.call_count == 1
    assert (await first.stored(ID)).summary == "They spoke."


async def test_the_claim_of_a_running_process_counts_for_five_minutes() -> None:
    harness, model = a_summarizing_harness()
    await a_claimed_conversation(harness, OTHER_PROCESS)
    harness.clock.advance(CLAIM_LIFETIME - timedelta(seconds=1))
    start(harness, await harness.stored(ID))
    await settled(harness)
    assert model.summaries.call_count == 0

    harness.clock.advance(timedelta(seconds=1))
    assert (await fold(harness, model, write())).summary == "They spoke."


async def test_the_claim_of_a_process_that_has_ended_is_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness, model = a_summarizing_harness()
    await a_claimed_conversation(harness, OTHER_PROCESS)
    monkeypatch.setattr(harness.lease, "has_ended", lambda process: process == OTHER_PROCESS)

    assert (await fold(harness, model, write())).summary == "They spoke."


async def test_a_claim_that_this_process_left_behind_is_taken_over() -> None:
    harness, model = a_summarizing_harness()
    await a_claimed_conversation(harness, PROCESS)

    assert (await fold(harness, model, write())).summary == "They spoke."


async def cut_off_after(steps: int) -> bool:
    """Cut a fold off after so many steps of the event loop; whether it had ended before.

    Whatever is left must be consistent, and another process must be able to go on.
    """
    harness = a_harness(InstantModel("They spoke."), budget=BUDGET)
    conversation = await stored_long(harness)
    start(harness, conversation)
    ended = asyncio.create_task(settled(harness))
    for _ in range(steps):
        await asyncio.sleep(0)
    had_ended = ended.done()
    harness.runner.refuse_new_turns()
    await ended
    left = await harness.stored(ID)
    assert left.messages == conversation.messages
    assert is_untouched(left) or (left.summary, left.folding) == ("They spoke.", None)
    assert left.summarized_until == left.working_memory_from

    other = a_harness(
        InstantModel("They spoke again."), budget=BUDGET, process=OTHER_PROCESS, beside=harness
    )
    harness.clock.advance(CLAIM_LIFETIME)
    start(other, left)
    await settled(other)
    summary = "They spoke again." if is_untouched(left) else "They spoke."
    assert (await harness.stored(ID)).summary == summary
    return had_ended


async def test_a_process_that_ends_at_any_moment_leaves_a_consistent_conversation() -> None:
    steps = 0
    while not await cut_off_after(steps):
        steps += 1

    assert steps > 10


async def test_no_summary_is_begun_once_the_process_shuts_down() -> None:
    harness, model = a_summarizing_harness()
    await stored_long(harness)
    start(harness, await harness.stored(ID))
    reply = await model.summaries.next_reply()
    harness.runner.refuse_new_turns()
    await settled(harness)
    start(harness, await harness.stored(ID))
    await settled(harness)

    assert reply.closed.is_set()
    assert model.summaries.call_count == 1
