"""A prompt that the model refuses as too long is sent once more, shorter, and nobody sees it."""

from collections.abc import AsyncGenerator

import pytest

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.identifiers import TurnRef
from domain.model.message import PromptReport
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt, ReplyOptions
from domain.model.turn import Outcome, TurnEnd
from entrypoints.usecases.open_turn import StartTurn
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.run_turn import RunTurn
from ports.language_model import ContextExceeded, LanguageModel
from ports.turn_log import Batch
from tests.support.builders import (
    AT_ONCE,
    ID,
    OWNER,
    REF,
    a_conversation,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.fake_model import NarrowModel
from tests.support.fakes import FakeSignals
from tests.support.harness import PAYER, Harness, a_harness

BUDGET = Budget(tokens=8_192, reply_tokens=512)
TURNS = 20
NAMES_NUMBERS = [True, False]


def long_conversation(newest: str = "And now?") -> Conversation:
    """20 turns of about 100 tokens each, and an open one."""
    conversation = a_conversation()
    for number in range(1, TURNS + 1):
        conversation = with_question(conversation, f"question {number} {'word ' * 30}", number)
        conversation = with_answer(conversation, f"answer {number} {'word ' * 10}", number)
    return with_question(conversation, newest, TURNS + 1)


async def run(
    model: LanguageModel,
    conversation: Conversation | None = None,
    options: ReplyOptions | None = None,
) -> tuple[Harness, TurnEnd]:
    """The harness after the open turn has ended, and how it ended for its followers."""
    harness = a_harness(model, budget=BUDGET, summaries=False)
    conversation = conversation or long_conversation()
    await harness.store.create(OWNER, conversation)
    permit = harness.container.resolve(StartTurn).permit(PAYER, turn_id())
    run_turn = harness.container.resolve(RunTurn)
    await run_turn(OWNER, conversation, FakeSignals(), permit, options or ReplyOptions())
    end = (await log_of(harness)).end
    assert end is not None
    return harness, end


async def log_of(harness: Harness) -> Batch:
    return await harness.log.read(TurnRef(REF, turn_id(TURNS + 1)), 0, AT_ONCE)


@pytest.mark.parametrize("names_numbers", NAMES_NUMBERS)
async def test_the_reply_comes_from_a_shorter_prompt(*, names_numbers: bool) -> None:
    model = NarrowModel(2_000, names_numbers=names_numbers)
    harness, end = await run(model)

    [refused], [prompt] = model.refused, model.prompts
    assert end.outcome is Outcome.FINISHED
    assert [piece.piece for piece in (await log_of(harness)).pieces] == [TextPiece("Hi!")]
    assert prompt.messages == refused.messages[-len(prompt.messages) :]
    assert 0 < len(prompt.messages) < len(refused.messages)


@pytest.mark.parametrize("names_numbers", NAMES_NUMBERS)
async def test_what_was_left_out_stays_out_of_working_memory(*, names_numbers: bool) -> None:
    model = NarrowModel(2_000, names_numbers=names_numbers)
    harness, end = await run(model)

    stored = await harness.stored(ID)
    [prompt] = model.prompts
    assert stored.working_memory_from == prompt.messages[0].number
    assert len(stored.messages) == 2 * TURNS + 2
    assert end.prompt_report == PromptReport(
        messages_seen=len(prompt.messages), messages_total=2 * TURNS + 1
    )


@pytest.mark.parametrize("names_numbers", NAMES_NUMBERS)
async def test_the_next_turn_is_not_refused(*, names_numbers: bool) -> None:
    model = NarrowModel(2_000, names_numbers=names_numbers)
    harness, _ = await run(model)

    for number in range(10):
        started = await harness.send(f"More? {number} {'word ' * 30}", session_id=ID)
        await harness.end_of(started)

    prompts = [prompt for prompt in model.prompts if not prompt.asks_for_summary]
    refused = [prompt for prompt in model.refused if not prompt.asks_for_summary]
    assert (len(prompts), len(refused)) == (11, 1)


async def test_the_window_that_the_refusal_names_is_kept() -> None:
    harness, _ = await run(NarrowModel(2_000))

    assert harness.container.resolve(PromptBudget).current.tokens == 2_000


async def test_a_reply_that_takes_too_much_of_the_window_gets_less() -> None:
    """The prompt alone fits the window, but not together with the reserve for the reply."""
    model = NarrowModel(600)
    _, end = await run(model, with_question(a_conversation(), "Hello?", TURNS + 1))

    [refused], [prompt] = model.refused, model.prompts
    assert end.outcome is Outcome.FINISHED
    assert prompt.messages == refused.messages
    assert prompt.reply_tokens < refused.reply_tokens


@pytest.mark.parametrize("names_numbers", NAMES_NUMBERS)
async def test_a_second_refusal_ends_the_turn(*, names_numbers: bool) -> None:
    model = NarrowModel(300, names_numbers=names_numbers)
    harness, end = await run(model, long_conversation("word " * 400))

    assert (end.outcome, end.error) == (Outcome.FAILED, "model_context_exceeded")
    assert len(model.refused) == 2
    assert (await harness.stored(ID)).working_memory_from == 1
    assert end.working_memory_from is None


async def test_nothing_is_left_out_if_the_caller_forbids_it() -> None:
    model = NarrowModel(2_000)
    _, end = await run(model, options=ReplyOptions(may_truncate=False))

    assert (end.outcome, end.error) == (Outcome.FAILED, "model_context_exceeded")
    assert len(model.refused) == 1


async def test_a_refusal_in_the_middle_of_a_reply_ends_the_turn() -> None:
    class Late:
        name = "late"
        prompts = 0

        async def reply(self, _: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
            self.prompts += 1
            yield TextPiece("Hi")
            raise ContextExceeded(window=2_000)

    model = Late()
    harness, end = await run(model)

    assert (end.outcome, end.error) == (Outcome.FAILED, "model_context_exceeded")
    assert model.prompts == 1
    assert (await harness.stored(ID)).working_memory_from == 1


async def test_the_log_has_numbers_only() -> None:
    model = NarrowModel(2_000)
    harness, _ = await run(model)

    [refused] = model.refused
    [fields] = harness.telemetry.fields_of("model.prompt-refused")
    assert fields["window"] == 2_000
    assert fields["prompt_tokens"] == model.tokens_of(refused)
    assert {type(value) for value in fields.values()} == {int}
    assert "turn.failed" not in harness.telemetry.events
