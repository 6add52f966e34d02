"""How many tokens a text is estimated to have before anything is known about the model."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.model.characters import CHARACTER_KINDS, add_counts, count_characters
from domain.model.message import StepMark, TextPart, ToolCallPart, ToolResultPart
from domain.model.token_rates import CAUTIOUS_RATES, TokenRates
from tests.support.builders import a_message, an_image

KINDS = [kind.name for kind in CHARACTER_KINDS]


def kinds_of(text: str) -> dict[str, int]:
    return {KINDS[index]: count for index, count in enumerate(count_characters(text)) if count}


def test_characters_are_counted_by_kind() -> None:
    assert kinds_of("Hi, you 2!\n") == {
        "lowercase": 4, "space": 2, "punctuation": 2, "uppercase": 1, "line break": 1, "digit": 1
    }  # fmt: skip
    assert kinds_of("né\u0301") == {"lowercase": 1, "accented letter": 2}
    assert kinds_of("Ωж") == {"Greek, Cyrillic": 2}
    assert kinds_of("שع") == {"Hebrew, Arabic": 2}
    assert kinds_of("हไ") == {"Indic, Thai and others": 2}
    assert kinds_of("中かカ한、") == {"Chinese, Japanese, Korean": 5}
    assert kinds_of("°\u2013€") == {"symbol": 3}
    assert kinds_of("🙂\ue000") == {"emoji and others": 2}


@given(text=st.text(st.characters(), max_size=200))
def test_every_character_is_counted_once(text: str) -> None:
    assert sum(count_characters(text)) == len(text)


def test_an_unpaired_surrogate_is_counted() -> None:
    assert kinds_of("\ud800") == {"Chinese, Japanese, Korean": 1}


@given(text=st.text(), more=st.text())
def test_a_longer_text_never_has_fewer_tokens(text: str, more: str) -> None:
    assert 1 <= CAUTIOUS_RATES.of_text(text) <= CAUTIOUS_RATES.of_text(text + more)


def test_an_empty_text_has_a_token() -> None:
    assert CAUTIOUS_RATES.of_text("") == 1


def test_the_chat_template_counts_for_each_message() -> None:
    plain, templated = TokenRates(message_tokens=0), TokenRates(message_tokens=7)
    message = a_message(1, "Hello!")

    assert templated.of_message(message) - plain.of_message(message) == 7


def test_tool_calls_and_their_results_count_like_messages() -> None:
    rates = TokenRates(message_tokens=7)
    call = ToolCallPart(call_id="1", name="look", arguments='{"where":"here"}')
    result = ToolResultPart(call_id="1", output='"Nothing."')
    message = a_message(1, parts=(TextPart("I look."), call, result, StepMark()))

    texts = rates.of_text("I look." + call.arguments + result.output)
    assert rates.of_message(message) == texts + 3 * 7


def test_images_count_whatever_their_size() -> None:
    message, rates = a_message(1, parts=(an_image(), an_image())), CAUTIOUS_RATES

    assert rates.of_message(message) - rates.of_message(a_message(1, "")) == 2 * rates.image_tokens


def test_the_margin_raises_estimates() -> None:
    raised = evolve(CAUTIOUS_RATES, margin=0.5)

    assert raised.of_text("x" * 1_000) == 1.5 * CAUTIOUS_RATES.of_text("x" * 1_000)
    assert raised.of_empty_prompt == 1.5 * CAUTIOUS_RATES.of_empty_prompt


@pytest.mark.parametrize("rates", [(), (1.0,), (*[1.0] * (len(CHARACTER_KINDS) - 1), 0.0)])
def test_each_kind_has_a_rate_above_zero(rates: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rate above 0"):
        TokenRates(per_character=rates)


@given(texts=st.lists(st.text(max_size=30), max_size=4))
def test_counts_of_several_texts_add_up(texts: list[str]) -> None:
    assert add_counts(map(count_characters, texts)) == count_characters("".join(texts))
