"""How the estimate of tokens comes closer to what a model's server reports."""

from itertools import zip_longest
from math import ceil
from operator import mul
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.characters import CHARACTER_KINDS, count_characters
from domain.model.conversation import Conversation
from domain.model.message import FinishReason, TextPart, ToolCallPart, Usage
from domain.model.prompt import Prompt, ReplyOptions, Tool
from domain.model.token_rates import CAUTIOUS_RATES, TokenRates
from domain.service.prompt_building import prompt_tokens
from domain.service.token_learning import (
    LEAST_MARGIN,
    MOST_EXTREME,
    MOST_MARGIN,
    PromptSize,
    learned,
    prompt_size,
    recalled,
)
from domain.service.turn_lifecycle import finish
from tests.support.builders import (
    a_conversation,
    a_message,
    an_image,
    pieces_of,
    texts_of,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON

ENGLISH = "The tyres of a cargo bicycle need more air than those of a racing bicycle, not less. "
FINNISH = "Tavarapyörän renkaissa pitää olla enemmän ilmaa kuin kilpapyörän renkaissa. "
CHINESE = "载货自行车的轮胎比赛车的轮胎需要更多的气。"


def a_prompt(*texts: str, **members: Any) -> Prompt:
    messages = tuple(a_message(number, text) for number, text in enumerate(texts, 1))
    return Prompt(**{
        "system": "Be brief.", "messages": messages, "locale": "en", "reply_tokens": 100, **members
    })  # fmt: skip


def size_of(prompt: Prompt) -> PromptSize:
    size = prompt_size(prompt)
    assert size is not None
    return size


def tokens_of(prompt: Prompt, rates: TokenRates) -> int:
    """What a tokenizer with exactly these rates makes of a prompt."""
    size = size_of(prompt)
    characters: float = sum(map(mul, size.characters, rates.per_character))
    return ceil(characters + rates.message_tokens * size.messages + rates.request_tokens)


def a_tokenizer(part: float) -> TokenRates:
    """One that needs only a part of the cautious rates."""
    return TokenRates(
        per_character=tuple(part * kind.tokens for kind in CHARACTER_KINDS),
        message_tokens=4,
        request_tokens=25,
    )


def after_turns(
    tokenizer: TokenRates, *texts: str, turns: int, rates: TokenRates = CAUTIOUS_RATES
) -> TokenRates:
    """The rates after turns in which each prompt has one more message, of these in turn."""
    for turn in range(turns):
        prompt = a_prompt(*(8 * texts[number % len(texts)] for number in range(turn + 1)))
        rates = learned(rates, size_of(prompt), tokens_of(prompt, tokenizer))
    return rates


def error(rates: TokenRates, tokenizer: TokenRates, text: str) -> float:
    """By which part the estimate of a prompt of four long messages is too high."""
    prompt = a_prompt(*[9 * text] * 4)
    return prompt_tokens(prompt, rates) / tokens_of(prompt, tokenizer) - 1


FEW = settings(max_examples=50)
PARTS = st.floats(0.4, 1.2)
FACTORS = st.floats(0.11, 9.9)
TEXTS = st.sampled_from([ENGLISH, FINNISH, CHINESE])


@FEW
@given(part=PARTS, text=TEXTS)
def test_a_handful_of_turns_is_enough(part: float, text: str) -> None:
    tokenizer = a_tokenizer(part)

    assert 0 <= error(after_turns(tokenizer, text, turns=5), tokenizer, text) < 0.18
    assert 0 <= error(after_turns(tokenizer, text, turns=12), tokenizer, text) < 0.15


def test_texts_in_two_languages_are_both_learned() -> None:
    tokenizer = a_tokenizer(0.5)
    rates = after_turns(tokenizer, ENGLISH, CHINESE, turns=12)

    assert 0 <= error(rates, tokenizer, ENGLISH) < 0.25
    assert 0 <= error(rates, tokenizer, CHINESE) < 0.25


def test_rates_of_what_a_prompt_does_not_contain_stay() -> None:
    rates = after_turns(a_tokenizer(0.5), ENGLISH, turns=12)
    changed = {
        kind.name
        for kind, rate in zip(CHARACTER_KINDS, rates.per_character, strict=True)
        if rate != kind.tokens
    }

    assert changed == {"lowercase", "space", "punctuation", "uppercase"}


@FEW
@given(texts=st.lists(TEXTS, min_size=1, max_size=5), reported=st.integers(-5, 10**9))
def test_rates_stay_within_bounds_whatever_is_reported(texts: list[str], reported: int) -> None:
    rates = CAUTIOUS_RATES
    for _ in range(40):
        rates = learned(rates, size_of(a_prompt(*texts)), reported)

    for kind, rate in zip(CHARACTER_KINDS, rates.per_character, strict=True):
        assert kind.tokens / 5 <= rate <= kind.tokens * 2.5
    assert 1 < rates.message_tokens < 20
    assert 5 < rates.request_tokens <= 3_000
    assert rates.margin <= MOST_MARGIN


@FEW
@given(texts=st.lists(TEXTS, min_size=1, max_size=5), factor=st.floats(MOST_EXTREME + 1, 10**6))
def test_absurd_reports_are_ignored(texts: list[str], factor: float) -> None:
    prompt = a_prompt(*texts)
    estimate = tokens_of(prompt, CAUTIOUS_RATES)

    for reported in (0, -1, int(estimate / factor), int(estimate * factor)):
        assert learned(CAUTIOUS_RATES, size_of(prompt), reported) is CAUTIOUS_RATES


@FEW
@given(text=TEXTS, factor=FACTORS)
def test_one_wrong_report_does_little_harm(text: str, factor: float) -> None:
    tokenizer = a_tokenizer(0.5)
    good, prompt = after_turns(tokenizer, text, turns=12), a_prompt(9 * text)
    wrong = learned(good, size_of(prompt), int(tokens_of(prompt, tokenizer) * factor))

    assert 0.6 < prompt_tokens(prompt, wrong) / prompt_tokens(prompt, good) < 3


@FEW
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=6), reported=st.integers(1, 500))
def test_the_order_of_texts_does_not_matter(texts: list[str], reported: int) -> None:
    forwards, backwards = size_of(a_prompt(*texts)), size_of(a_prompt(*reversed(texts)))

    assert learned(CAUTIOUS_RATES, forwards, reported) == learned(
        CAUTIOUS_RATES, backwards, reported
    )


@FEW
@given(text=TEXTS, factors=st.tuples(FACTORS, FACTORS))
def test_a_higher_report_never_makes_an_estimate_lower(
    text: str, factors: tuple[float, float]
) -> None:
    prompt = a_prompt(9 * text)
    estimate = tokens_of(prompt, CAUTIOUS_RATES)
    low, high = (
        prompt_tokens(prompt, learned(CAUTIOUS_RATES, size_of(prompt), int(estimate * factor)))
        for factor in sorted(factors)
    )

    assert low <= high


def test_an_estimate_that_was_too_low_is_mended_at_once_and_watched_longer() -> None:
    prompt = a_prompt(9 * ENGLISH)
    reported = int(1.25 * tokens_of(prompt, CAUTIOUS_RATES))
    higher = learned(CAUTIOUS_RATES, size_of(prompt), reported)
    margins = [higher.margin]
    for _ in range(30):
        higher = learned(higher, size_of(prompt), reported)
        margins.append(higher.margin)

    assert prompt_tokens(prompt, higher) >= reported
    assert margins[0] == pytest.approx(0.25, abs=0.01)
    assert margins == sorted(margins, reverse=True)
    assert LEAST_MARGIN <= margins[-1] < LEAST_MARGIN + 0.01


def a_stored_conversation(tokenizer: TokenRates) -> Conversation:
    """Six turns; each reply carries what the tokenizer makes of its prompt."""
    conversation = a_conversation()
    for number in range(1, 7):
        conversation = with_question(conversation, 9 * ENGLISH, number)
        prompt = a_prompt(*texts_of(conversation))
        usage = Usage(input_tokens=tokens_of(prompt, tokenizer))
        ids = (turn_id(number), pieces_of("Yes."), NOON)
        conversation = finish(conversation, *ids, reason=FinishReason.STOP, usage=usage)
    return conversation


def test_stored_replies_say_how_long_their_prompts_were() -> None:
    tokenizer = a_tokenizer(0.5)
    rates = recalled(CAUTIOUS_RATES, a_stored_conversation(tokenizer), "Be brief.")

    assert 0 < error(rates, tokenizer, ENGLISH) < 0.2


def test_stored_replies_never_raise_an_estimate() -> None:
    stored = a_stored_conversation(CAUTIOUS_RATES)
    forgetful = evolve(stored, working_memory_from=9)

    assert recalled(CAUTIOUS_RATES, forgetful, "Be brief.") == CAUTIOUS_RATES


def test_replies_without_reports_say_nothing() -> None:
    conversation = with_answer(with_question(a_conversation()))

    assert recalled(CAUTIOUS_RATES, conversation, "Be brief.") is CAUTIOUS_RATES


def test_page_context_and_summary_are_part_of_the_size() -> None:
    plain, full = size_of(a_prompt("Hi!")), size_of(a_prompt("Hi!", summary="A friend."))

    assert sum(full.characters) - sum(plain.characters) == len("A friend.")
    assert full.fixed_tokens > plain.fixed_tokens == 0


def test_the_size_has_all_texts() -> None:
    size = size_of(a_prompt("One.", "Two."))
    each = map(count_characters, ("Be brief.", "One.", "Two."))

    assert size.characters == tuple(map(sum, zip_longest(*each, fillvalue=0)))
    assert size.messages == 2


CALL = ToolCallPart(call_id="1", name="look", arguments="{}")


@pytest.mark.parametrize(
    "members",
    [
        {"options": ReplyOptions(tools=(Tool(name="look", parameters="{}"),))},
        {"options": ReplyOptions(response_format="{}")},
        {"messages": (a_message(1, parts=(TextPart("Look!"), an_image())),)},
        {"messages": (a_message(1, parts=(CALL,)),)},
    ],
    ids=["tools", "response format", "image", "tool call"],
)
def test_nothing_is_learned_from_more_than_texts(members: dict[str, Any]) -> None:
    assert prompt_size(a_prompt("Hi!", **members)) is None
