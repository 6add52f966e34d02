"""Learns how many tokens a model's tokenizer needs for each kind of characters.

After a reply, the model's server reports how many tokens the prompt had. The rates of the kinds in
the prompt are then changed so that the estimate comes closer to the report. Only the rates are
kept, and no text.
"""

from math import exp, log
from operator import mul
from typing import Final

from attrs import evolve, frozen

from domain.model.characters import (
    CHARACTER_KINDS,
    CharacterCounts,
    add_counts,
    count_characters,
)
from domain.model.conversation import Conversation
from domain.model.message import ImagePart, Message, StepMark, ToolCallPart, ToolResultPart
from domain.model.prompt import Prompt
from domain.model.token_rates import CAUTIOUS_RATES, TokenRates
from domain.service.prompt_building import DATA_TOKENS, data_texts

MOST_EXTREME: Final = 10
"""A report that differs from the estimate by a larger factor says nothing about the tokenizer."""

LEAST_MARGIN: Final = 0.08
MOST_MARGIN: Final = 0.3

_LARGEST_STEP: Final = log(2)
"""A report counts as at least half of the estimate, and as at most twice the estimate."""

_DOWN: Final = 0.5
"""How far the rates move towards a report below the estimate; if it is above, all the way.

The model's server may refuse a prompt that is longer than estimated. A prompt that is shorter only
leaves room unused.
"""

_CALMING: Final = 0.1
"""How far the margin shrinks with each report that would have needed less."""

_MOST: Final = 2.5
"""A rate stays below this multiple of the cautious rate, and above ``CharacterKind.least``."""

_MESSAGE_BOUNDS: Final = (0.2, _MOST)
"""The same for what is added to each message."""

_REQUEST_BOUNDS: Final = (0.1, 50)
"""The same for what is added to each prompt: some servers add a system prompt of their own."""

_RECALLED_REPLIES: Final = 4
"""From how many of the newest replies a process learns that has just started."""


@frozen(kw_only=True)
class PromptSize:
    """What a prompt consists of, without its texts.

    Attributes:
        characters: the characters of all its texts.
        messages: how many messages it has.
        fixed_tokens: estimated tokens for which no rate is learned.
    """

    characters: CharacterCounts
    messages: int
    fixed_tokens: int = 0


def prompt_size(prompt: Prompt) -> PromptSize | None:
    """The size of a prompt from which rates can be learned.

    None for a prompt with images, tools or a response format: servers differ in how they put
    these before the model, and the rates of texts would be wrong afterwards.
    """
    options = prompt.options
    if options.tools or options.response_format or not all(map(_has_only_text, prompt.messages)):
        return None
    data = data_texts(prompt.page_context, prompt.summary, prompt.passages)
    texts = map(count_characters, (prompt.system, *data))
    return PromptSize(
        characters=add_counts((*texts, *(message.characters for message in prompt.messages))),
        messages=len(prompt.messages),
        fixed_tokens=DATA_TOKENS * len(data),
    )


def estimated_tokens(size: PromptSize, rates: TokenRates) -> float:
    """The tokens of a prompt of this size, without a margin."""
    characters: float = sum(map(mul, size.characters, rates.per_character))
    messages = rates.message_tokens * size.messages
    return characters + messages + rates.request_tokens + size.fixed_tokens


def learned(rates: TokenRates, size: PromptSize, reported: int) -> TokenRates:
    """The rates after the model's server has reported the tokens of a prompt of this size.

    Each rate changes in proportion to the share of the estimate that it accounts for, so the rates
    of what the prompt hardly contained stay as they are.
    """
    characters = tuple(map(mul, size.characters, rates.per_character))
    messages = rates.message_tokens * size.messages
    estimate = estimated_tokens(size, rates)
    learnable = estimate - size.fixed_tokens
    ratio = reported / estimate
    if not 1 / MOST_EXTREME <= ratio <= MOST_EXTREME:
        return rates
    whole_step = min(max(log(ratio), -_LARGEST_STEP), _LARGEST_STEP)
    step = whole_step * (1 if ratio > 1 else _DOWN)
    squares = sum(tokens**2 for tokens in (*characters, messages, rates.request_tokens))

    def changed(rate: float, tokens: float, cautious: float, bounds: tuple[float, float]) -> float:
        least, most = (cautious * bound for bound in bounds)
        return min(max(rate * exp(step * tokens * learnable / squares), least), most)

    tokens_of_kinds = (*characters, *[0.0] * (len(rates.per_character) - len(characters)))
    start = CAUTIOUS_RATES
    return evolve(
        rates,
        per_character=tuple(
            changed(rate, tokens, kind.tokens, (kind.least, _MOST))
            for rate, tokens, kind in zip(
                rates.per_character, tokens_of_kinds, CHARACTER_KINDS, strict=True
            )
        ),
        message_tokens=changed(
            rates.message_tokens, messages, start.message_tokens, _MESSAGE_BOUNDS
        ),
        request_tokens=changed(
            rates.request_tokens, rates.request_tokens, start.request_tokens, _REQUEST_BOUNDS
        ),
        margin=_margin(rates.margin, ratio),
    )


def recalled(rates: TokenRates, conversation: Conversation, system: str) -> TokenRates:
    """The rates after what was reported about the newest replies of a conversation.

    A process that has just started knows nothing about its model, but stored replies say how many
    tokens their prompts had. Messages may have left working memory since then, so a report above
    the estimate says nothing.
    """
    memory = conversation.working_memory
    replies = [message for message in memory if _input_tokens(message) and not _has_steps(message)]
    for reply in replies[-_RECALLED_REPLIES:]:
        before = tuple(message for message in memory if message.number < reply.number)
        prompt = Prompt(
            system=system,
            messages=before,
            locale=conversation.locale,
            reply_tokens=1,
            summary=conversation.summary,
        )
        size, reported = prompt_size(prompt), _input_tokens(reply)
        if size is not None and reported < estimated_tokens(size, rates):
            rates = learned(rates, size, reported)
    return rates


def _input_tokens(reply: Message) -> int:
    """What the model's server has reported; 0 if that is nothing."""
    return reply.usage.input_tokens or 0 if reply.usage else 0


def _has_steps(reply: Message) -> bool:
    """Whether several prompts were sent for it; then no single one had the reported tokens."""
    return any(isinstance(part, StepMark) for part in reply.parts)


def _margin(margin: float, ratio: float) -> float:
    """The margin that this report would have needed, approached slowly if it is a smaller one."""
    needed = min(max(ratio - 1, LEAST_MARGIN), MOST_MARGIN)
    return needed if needed > margin else margin + _CALMING * (needed - margin)


def _has_only_text(message: Message) -> bool:
    return not any(
        isinstance(part, ImagePart | ToolCallPart | ToolResultPart) for part in message.parts
    )
