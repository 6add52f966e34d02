"""A process learns how its model counts tokens, and from stored replies after a restart."""

from collections.abc import AsyncGenerator

import pytest

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt
from domain.model.token_rates import CAUTIOUS_RATES
from domain.service.prompt_building import prompt_tokens
from domain.service.turn_lifecycle import finish
from entrypoints.usecases.prompt_budget import PromptBudget
from tests.support.builders import (
    ID,
    OWNER,
    a_conversation,
    pieces_of,
    turn_id,
    with_question,
)
from tests.support.clocks import NOON
from tests.support.fake_model import InstantModel
from tests.support.harness import Harness, a_harness

WORDS = "The tyres of a cargo bicycle need more air than those of a racing bicycle. "


class HalfCountingModel:
    """Reports that a prompt had half of the tokens of the cautious estimate."""

    name = "half-counting"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        yield TextPiece("Yes.")
        usage = Usage(input_tokens=prompt_tokens(prompt, CAUTIOUS_RATES) // 2)
        yield ModelFinished(reason=FinishReason.STOP, usage=usage)


def estimate_of(harness: Harness) -> int:
    """What the process now thinks a long text takes."""
    return harness.container.resolve(PromptBudget).current.rates.of_text(20 * WORDS)


async def test_each_finished_reply_teaches_the_process() -> None:
    harness = a_harness(HalfCountingModel())
    await harness.store.create(OWNER, a_conversation())
    estimates = [estimate_of(harness)]
    for _ in range(4):
        await harness.whole_turn(await harness.send(9 * WORDS, session_id=ID))
        estimates.append(estimate_of(harness))

    assert estimates == sorted(estimates, reverse=True)
    assert estimates[-1] < 0.75 * estimates[0]


async def test_a_model_that_reports_nothing_teaches_nothing() -> None:
    silent = InstantModel("Yes.", finished=ModelFinished(reason=FinishReason.STOP))
    harness = a_harness(silent)
    before = estimate_of(harness)

    await harness.whole_turn(await harness.send(9 * WORDS))

    assert estimate_of(harness) == before


def a_long_conversation(*, with_usage: bool) -> Conversation:
    """Ten turns, whose replies carry the tokens of their prompts: half of the cautious estimate."""
    conversation = a_conversation()
    for number in range(1, 11):
        conversation = with_question(conversation, 9 * WORDS, number)
        texts = (message.text for message in conversation.messages)
        tokens = sum(map(CAUTIOUS_RATES.of_text, texts)) // 2
        conversation = finish(
            conversation,
            turn_id(number),
            pieces_of("Yes."),
            NOON,
            reason=FinishReason.STOP,
            usage=Usage(input_tokens=tokens) if with_usage else None,
        )
    return conversation


async def messages_seen(conversation: Conversation) -> int:
    model = InstantModel("Yes.")
    tokens = sum(CAUTIOUS_RATES.of_message(message) for message in conversation.messages)
    harness = a_harness(model, budget=Budget(tokens=tokens * 4 // 5, reply_tokens=64))
    await harness.store.create(OWNER, conversation)

    await harness.whole_turn(await harness.send("And now?", session_id=ID))

    return len(model.prompts[0].messages)


async def test_a_new_process_forgets_nothing_that_stored_reports_prove_to_fit() -> None:
    assert await messages_seen(a_long_conversation(with_usage=True)) == 21
    assert await messages_seen(a_long_conversation(with_usage=False)) < 21


async def long_question(conversation: Conversation) -> str:
    """Sends a question that fits the window, but not by the cautious estimate."""
    model = InstantModel("Yes.")
    question = 36 * WORDS
    budget = Budget(tokens=CAUTIOUS_RATES.of_text(question), reply_tokens=64)
    harness = a_harness(model, budget=budget)
    await harness.store.create(OWNER, conversation)
    await harness.whole_turn(await harness.send(question, session_id=ID))
    return model.prompts[0].messages[-1].text


async def test_a_new_process_refuses_nothing_that_stored_reports_prove_to_fit() -> None:
    assert await long_question(a_long_conversation(with_usage=True)) == 36 * WORDS
    with pytest.raises(InvalidInput):
        await long_question(a_long_conversation(with_usage=False))
