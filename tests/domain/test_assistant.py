"""Which locale the assistant chooses, and what a reply costs."""

from decimal import Decimal

import pytest

from domain.model.assistant import Assistant, Price
from domain.model.message import Usage

WELCOMES = {"en": "Hello", "fi": "Hei", "pt-BR": "Olá", "zh-Hant": "你好"}
PRICES = {"m": Price(input=Decimal("0.5"), output=Decimal(2))}
ASSISTANT = Assistant(system_prompt="Be brief.", welcomes=WELCOMES, prices=PRICES)


@pytest.mark.parametrize(
    ("preferred", "chosen"),
    [
        ([], "en"),
        (["fi"], "fi"),
        (["FI-fi"], "fi"),
        (["fi_FI"], "fi"),
        (["de", "fi"], "fi"),
        (["de"], "en"),
        (["pt"], "en"),
        (["pt-br-x-old"], "pt-BR"),
        (["zh-Hant-TW", "fi"], "zh-Hant"),
        (["zh-Hant-a-b"], "zh-Hant"),
        (["", "-", "fi"], "fi"),
        (["fi-b-c-d-e-f-g-h"], "fi"),
        (["fi-b-c-d-e-f-g-h-i", "fi_" + "b" * 33], "en"),
        (["de"] * 15 + ["fi"], "fi"),
        (["de"] * 16 + ["fi"], "en"),
    ],
)
def test_a_locale_is_found_by_shortening_the_preferred_tags(
    preferred: list[str], chosen: str
) -> None:
    assert ASSISTANT.locale_for(preferred) == chosen


def test_an_assistant_has_at_least_one_language() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Assistant(system_prompt="Hm", welcomes={})


def test_the_cost_of_a_reply_counts_the_reported_tokens() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=500_000)

    assert ASSISTANT.cost_of("m", usage) == Decimal("1.5")
    assert ASSISTANT.cost_of("m", Usage(output_tokens=1)) == Decimal("0.000002")


def test_an_unknown_cost_is_none() -> None:
    assert ASSISTANT.cost_of("other", Usage()) is None
    assert ASSISTANT.cost_of("m", None) is None
