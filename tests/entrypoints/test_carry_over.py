"""Continuing a conversation in a new one: what the model is asked, and who pays."""

import asyncio

import pytest
from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef
from domain.model.prompt import Prompt
from domain.model.rate_limits import Quota
from entrypoints.usecases.carry_over import CarryOver
from ports.errors import TooManyRequests
from ports.language_model import ContextExceeded
from tests.support.builders import ID, OTHER_ID, OWNER, a_limit
from tests.support.fake_model import USAGE, SummarizedModel
from tests.support.harness import PAYER, Harness
from tests.support.summaries import a_long_conversation, a_summarizing_harness, stored_long, write

REF = ConversationRef(OWNER, ID)


def carrying_over(harness: Harness, ref: ConversationRef = REF) -> "asyncio.Task[Conversation]":
    return asyncio.create_task(harness.container.resolve(CarryOver)(ref, payer=PAYER))


async def carried_over(
    harness: Harness, model: SummarizedModel
) -> tuple[Conversation, list[Prompt]]:
    """The new conversation, and what the model was asked; it writes "Summary 1." and so on."""
    continuing = carrying_over(harness)
    prompts: list[Prompt] = []
    async with asyncio.timeout(10):
        while True:
            asking = asyncio.ensure_future(model.summaries.next_reply())
            await asyncio.wait([asking, continuing], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                asking.cancel()
                return await continuing, prompts
            prompts.append(asking.result().prompt)
            write(f"Summary {len(prompts)}.")(asking.result())


async def test_what_is_not_copied_is_in_the_summary() -> None:
    harness, model = a_summarizing_harness()
    before = await stored_long(harness)
    after, prompts = await carried_over(harness, model)

    asked = "".join(prompt.messages[0].text for prompt in prompts)
    first_copied = len(before.messages) - len(after.messages) + 1
    for number, message in enumerate(before.messages[::2], start=1):
        assert (f"Question {number}." in asked) == (message.number < first_copied)
    assert after.summary == f"Summary {len(prompts)}."
    assert 1 < first_copied < len(before.messages)
    assert await harness.stored(after.id) == after


async def test_what_has_left_working_memory_before_is_folded_too() -> None:
    harness, model = a_summarizing_harness()
    forgetful = evolve(
        a_long_conversation(exchanges=5),
        summary="They met.",
        summarized_until=3,
        working_memory_from=7,
    )
    await harness.store.create(OWNER, forgetful)
    after, [prompt] = await carried_over(harness, model)

    assert prompt.summary == "They met."
    assert "Question 1." not in prompt.messages[0].text
    assert "Question 2." in prompt.messages[0].text
    assert after.summary == "Summary 1."


async def test_the_model_is_asked_twice_at_most_and_then_gets_all_that_is_left() -> None:
    harness, model = a_summarizing_harness()
    await harness.store.create(OWNER, a_long_conversation(exchanges=60))
    after, [first, second] = await carried_over(harness, model)

    assert (first.summary, second.summary) == (None, "Summary 1.")
    assert "Question 1." in first.messages[0].text
    assert "Question 50." in second.messages[0].text
    assert after.summary == "Summary 2."


async def test_a_prompt_that_the_model_refuses_is_sent_once_more_shorter() -> None:
    harness, model = a_summarizing_harness()
    await harness.store.create(OWNER, a_long_conversation(exchanges=60))
    continuing = carrying_over(harness)
    refused = await model.summaries.next_reply()
    refused.fail(ContextExceeded(window=1_024))
    again = await model.summaries.next_reply()
    write("They spoke.")(again)
    after = await continuing

    assert len(again.prompt.messages[0].text) < len(refused.prompt.messages[0].text)
    assert after.summary == "They spoke."


async def test_it_counts_as_a_new_conversation() -> None:
    harness, _ = a_summarizing_harness(limits=[a_limit(Quota.NEW, 1)], summaries=False)
    await stored_long(harness)
    await carrying_over(harness)

    with pytest.raises(TooManyRequests):
        await carrying_over(harness)


async def test_what_it_stores_is_counted() -> None:
    limits = [a_limit(Quota.STORED_BYTES, 100)]
    harness, _ = a_summarizing_harness(limits=limits, summaries=False)
    await stored_long(harness)
    await carrying_over(harness)

    with pytest.raises(TooManyRequests):
        await carrying_over(harness)


async def test_the_tokens_of_the_summary_are_counted() -> None:
    tokens = (USAGE.input_tokens or 0) + (USAGE.output_tokens or 0)
    harness, model = a_summarizing_harness(limits=[a_limit(Quota.TOKENS, tokens)])
    await harness.store.create(OWNER, a_long_conversation(exchanges=5))
    await carried_over(harness, model)

    with pytest.raises(TooManyRequests):
        await carrying_over(harness)
    assert model.summaries.call_count == 1


async def test_a_conversation_that_does_not_exist_costs_nothing() -> None:
    harness, _ = a_summarizing_harness(limits=[a_limit(Quota.NEW, 1)], summaries=False)
    await stored_long(harness)
    with pytest.raises(ConversationNotFound):
        await carrying_over(harness, ConversationRef(OWNER, OTHER_ID))

    assert (await carrying_over(harness)).messages


async def test_if_nothing_can_be_kept_the_new_conversation_begins_with_the_welcome() -> None:
    harness, _ = a_summarizing_harness(summaries=False)
    await harness.store.create(OWNER, evolve(a_long_conversation(), working_memory_from=21))
    after = await carrying_over(harness)

    assert [message.turn for message in after.messages] == [0]
    assert after.messages[0].text.startswith("Hello!")
