"""Which context window the prompts get: the operator's, the server's, or the default."""

import asyncio
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from domain.model.budget import Budget, BudgetBounds
from domain.model.message import TextPart
from domain.model.prompt import Prompt
from domain.model.token_rates import CAUTIOUS_RATES
from domain.service.prompt_building import prompt_tokens
from entrypoints.usecases.prompt_budget import PromptBudget
from ports.context_window import UNREACHABLE, StatedWindow
from ports.language_model import ContextExceeded
from tests.support.builders import a_message, an_image
from tests.support.clocks import ManualClock
from tests.support.fakes import RecordingTelemetry

HOUR = timedelta(hours=1)
SOON = timedelta(seconds=10)
A_MOMENT = timedelta(seconds=2)


@define
class FakeWindow:
    """Answers in turn with ``answers``, of which the last one stays; None: it never answers."""

    answers: list[StatedWindow | None]
    requests: int = 0

    async def read(self) -> StatedWindow:
        self.requests += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await asyncio.Future[None]()
        assert answer is not None
        return answer


@define
class World:
    """A budget with the server that it asks."""

    server: FakeWindow
    bounds: BudgetBounds = BudgetBounds(reply_tokens=4_096)
    clock: ManualClock = field(factory=ManualClock)
    telemetry: RecordingTelemetry = field(factory=RecordingTelemetry)
    budget: PromptBudget = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.budget = PromptBudget(
            self.bounds, clock=self.clock, telemetry=self.telemetry, window=self.server
        )

    async def refreshed(self) -> Budget:
        await self.budget.refresh()
        return self.budget.current

    async def after(self, duration: timedelta) -> Budget:
        """The budget of a turn at that time, and of the next one: a late answer counts too."""
        self.clock.advance(duration)
        await self.refreshed()
        await _passes()
        return await self.refreshed()


def asking(*answers: StatedWindow | None, **members: Any) -> World:
    return World(FakeWindow(list(answers)), **members)


async def _passes() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def stated(tokens: int | None, *, is_final: bool = True) -> StatedWindow:
    return StatedWindow(tokens=tokens, is_final=is_final)


async def test_without_a_server_the_window_is_the_default() -> None:
    bounds = BudgetBounds(reply_tokens=4_096)
    budget = PromptBudget(bounds, clock=ManualClock(), telemetry=RecordingTelemetry())

    await budget.refresh()

    assert budget.current == Budget(tokens=8_192, reply_tokens=4_096)


async def test_the_first_turn_gets_the_window_that_the_server_states() -> None:
    world = asking(stated(16_384))

    assert await world.refreshed() == Budget(tokens=16_384, reply_tokens=4_096)


async def test_a_server_that_does_not_say_leaves_the_default() -> None:
    world = asking(stated(None))

    assert (await world.refreshed()).tokens == 8_192


async def test_the_operators_window_wins_and_no_turn_waits_for_the_server() -> None:
    world = asking(None, bounds=BudgetBounds(reply_tokens=3_000, window=4_096))

    assert await world.refreshed() == Budget(tokens=4_096, reply_tokens=3_000)


async def test_the_assistants_bound_applies_to_every_window() -> None:
    bounds = BudgetBounds(reply_tokens=4_096, prompt_tokens=6_000)

    assert await asking(stated(16_384), bounds=bounds).refreshed() == Budget(
        tokens=6_000, reply_tokens=3_000
    )
    assert (await asking(stated(2_048), bounds=bounds).refreshed()).tokens == 2_048


async def test_turns_at_the_same_time_share_one_request() -> None:
    world = asking(stated(16_384))

    budgets = await asyncio.gather(*(world.refreshed() for _ in range(20)))

    assert {budget.tokens for budget in budgets} == {16_384}
    assert world.server.requests == 1


async def test_a_turn_waits_only_a_moment_for_a_slow_server() -> None:
    world = asking(None)
    turn = asyncio.create_task(world.refreshed())
    await _passes()
    world.clock.advance(A_MOMENT - timedelta(milliseconds=1))
    await _passes()

    assert not turn.done()

    world.clock.advance(timedelta(milliseconds=1))

    assert (await turn).tokens == 8_192


async def test_only_one_turn_waits_for_a_server_that_does_not_answer() -> None:
    world = asking(None)
    turn = asyncio.create_task(world.refreshed())
    await _passes()
    world.clock.advance(A_MOMENT)
    await turn
    next_turn = asyncio.create_task(world.refreshed())
    await _passes()

    assert next_turn.done()
    assert world.server.requests == 1


async def test_a_cancelled_turn_does_not_end_the_question_of_the_others() -> None:
    world = asking(stated(16_384))
    first, second = (asyncio.create_task(world.refreshed()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).tokens == 16_384


async def test_a_final_answer_is_kept_for_an_hour() -> None:
    world = asking(stated(16_384), stated(32_768))
    await world.refreshed()

    assert (await world.after(HOUR - timedelta(seconds=1))).tokens == 16_384
    assert world.server.requests == 1
    assert (await world.after(timedelta(seconds=1))).tokens == 32_768


async def test_a_server_that_was_not_reachable_is_asked_again_soon() -> None:
    world = asking(UNREACHABLE, stated(16_384))
    await world.refreshed()

    assert (await world.after(SOON - timedelta(seconds=1))).tokens == 8_192
    assert (await world.after(timedelta(seconds=1))).tokens == 16_384


async def test_a_model_that_is_not_loaded_yet_is_asked_about_again_soon() -> None:
    world = asking(stated(4_096, is_final=False), stated(16_384))

    assert (await world.refreshed()).tokens == 4_096
    assert (await world.after(SOON)).tokens == 16_384


async def test_a_server_that_no_longer_answers_changes_nothing() -> None:
    world = asking(stated(16_384), UNREACHABLE)
    await world.refreshed()

    assert (await world.after(HOUR)).tokens == 16_384
    assert world.server.requests == 2


async def test_the_server_may_be_asked_before_the_first_turn() -> None:
    world = asking(stated(16_384))

    async with world.budget.asking(at_once=True):
        await _passes()

        assert world.budget.current.tokens == 16_384


async def test_a_question_ends_with_the_service() -> None:
    world = asking(None)

    async with world.budget.asking(at_once=True):
        await _passes()
    await world.refreshed()

    assert world.server.requests == 1
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_the_window_is_logged_once_and_again_when_it_changes() -> None:
    world = asking(stated(16_384), stated(16_384), stated(8_000))
    for _ in range(3):
        await world.after(HOUR)

    assert world.telemetry.emitted == [
        ("model.window", {"finding": "ok", "tokens": tokens, "stated": tokens, "budget": tokens})
        for tokens in (16_384, 8_000)
    ]


async def test_a_window_that_the_server_does_not_have_is_a_warning() -> None:
    world = asking(stated(4_096), bounds=BudgetBounds(reply_tokens=1_000, window=16_384))
    await world.after(timedelta())

    [fields] = world.telemetry.fields_of("model.window")
    assert fields == {"finding": "warning", "tokens": 16_384, "stated": 4_096, "budget": 16_384}


def a_prompt(*texts: str, **members: Any) -> Prompt:
    messages = tuple(a_message(number, text) for number, text in enumerate(texts, 1))
    fields = {"system": "", "messages": messages, "locale": "en", "reply_tokens": 1_000, **members}
    return Prompt(**fields)


SHORT = a_prompt("Hello?")
LONG_PROMPT = a_prompt("word " * 3_000)


def estimated(prompt: Prompt) -> int:
    return prompt_tokens(prompt, CAUTIOUS_RATES)


async def test_the_window_that_a_refusal_names_is_that_of_all_further_prompts() -> None:
    world = asking(stated(None))
    await world.refreshed()

    await world.budget.after_refusal(LONG_PROMPT, ContextExceeded(window=4_000))

    assert await world.refreshed() == Budget(tokens=4_000, reply_tokens=2_000)
    assert world.server.requests == 1


async def test_a_refusal_overrules_the_operator_and_the_server() -> None:
    bounds = BudgetBounds(reply_tokens=1_000, window=16_384)
    for world in (asking(stated(16_384)), asking(stated(16_384), bounds=bounds)):
        await world.after(timedelta())
        await world.budget.after_refusal(LONG_PROMPT, ContextExceeded(window=4_000))

        assert (await world.after(HOUR)).tokens == 4_000


async def test_a_refusal_never_widens_the_window() -> None:
    world = asking(stated(4_000))
    await world.refreshed()

    await world.budget.after_refusal(LONG_PROMPT, ContextExceeded(window=16_384))

    assert world.budget.current.tokens == 4_000


async def test_a_new_window_ends_what_was_refused_before() -> None:
    world = asking(stated(16_384), stated(32_768))
    await world.refreshed()
    await world.budget.after_refusal(LONG_PROMPT, ContextExceeded(window=4_000))

    assert (await world.after(HOUR)).tokens == 32_768


async def test_after_a_refusal_without_a_number_the_server_is_asked_again() -> None:
    world = asking(stated(8_192), stated(2_048))
    await world.refreshed()

    budget = await world.budget.after_refusal(LONG_PROMPT, ContextExceeded())

    assert (budget.tokens, world.budget.current.tokens) == (2_048, 2_048)


async def test_a_refusal_that_nothing_explains_halves_the_next_attempt() -> None:
    world = asking(stated(8_192))
    await world.refreshed()

    budget = await world.budget.after_refusal(SHORT, ContextExceeded())

    assert budget.tokens == (estimated(SHORT) + SHORT.reply_tokens) // 2
    assert world.budget.current.tokens == 8_192


async def test_without_any_number_further_prompts_are_shorter_but_not_below_half() -> None:
    world = asking(stated(None))
    await world.refreshed()
    prompt = a_prompt("word " * 1_000, reply_tokens=4_000)
    size = estimated(prompt) + prompt.reply_tokens
    assert 4_096 < size * 9 // 10 < 8_192

    await world.budget.after_refusal(prompt, ContextExceeded())
    narrower = world.budget.current.tokens
    for _ in range(9):
        await world.budget.after_refusal(SHORT, ContextExceeded())

    assert narrower == size * 9 // 10
    assert world.budget.current.tokens == 4_096


async def test_the_next_attempt_heeds_how_far_the_estimate_was_off() -> None:
    world = asking(stated(8_192))
    await world.refreshed()
    image = evolve(a_message(), parts=(TextPart("Hello?"), an_image()))
    prompt = evolve(SHORT, messages=(image,))
    counted = 3 * estimated(prompt)

    budget = await world.budget.after_refusal(
        prompt, ContextExceeded(window=6_000, prompt_tokens=counted)
    )

    assert budget.tokens == 2_000
    assert world.budget.current.rates == CAUTIOUS_RATES


async def test_the_estimate_learns_from_the_number_in_a_refusal() -> None:
    world = asking(stated(8_192))
    await world.refreshed()
    counted = estimated(LONG_PROMPT) * 3 // 2

    await world.budget.after_refusal(LONG_PROMPT, ContextExceeded(prompt_tokens=counted))

    assert prompt_tokens(LONG_PROMPT, world.budget.current.rates) >= counted


async def test_a_budget_after_a_refusal_is_never_below_the_least() -> None:
    world = asking(stated(300))
    await world.refreshed()

    budget = await world.budget.after_refusal(SHORT, ContextExceeded(prompt_tokens=1_000_000))

    assert (budget.tokens, budget.reply_tokens) == (256, 128)
