"""The assistant: its prompts, welcomes, tools, memory and prices, as the operator declares them."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from types import MappingProxyType
from typing import Final

from attrs import field, frozen
from attrs.validators import ge, optional

from domain.model.budget import MIN_PROMPT_TOKENS
from domain.model.conversation import Conversation
from domain.model.limits import (
    MAX_LANGUAGE_SUBTAGS,
    MAX_LANGUAGE_TAG_CHARACTERS,
    MAX_LANGUAGE_TAGS,
)
from domain.model.message import Usage
from domain.model.named_prompt import NamedPrompt
from domain.model.tool_settings import ToolSettings

_TOKENS_PER_PRICE: Final = 1_000_000


@frozen(kw_only=True)
class Price:
    """Prices of a model, in the operator's currency per million tokens."""

    input: Decimal
    output: Decimal

    def of(self, usage: Usage) -> Decimal:
        """The cost of one reply; a token count that the model did not report counts as 0."""
        cost = self.input * (usage.input_tokens or 0) + self.output * (usage.output_tokens or 0)
        return cost / _TOKENS_PER_PRICE


@frozen(kw_only=True)
class Memory:
    """What the operator declares about long conversations. None: the default applies.

    Attributes:
        prompt_tokens: upper bound for one prompt together with its reply; the context window of
            the model is another one.
        summary_prompt: instructions for the model that summarises the oldest messages.
        summary_tokens: upper bound for the summary.
    """

    prompt_tokens: int | None = field(default=None, validator=optional(ge(MIN_PROMPT_TOKENS)))
    summary_prompt: str | None = None
    summary_tokens: int | None = field(default=None, validator=optional(ge(1)))


def _frozen_texts(texts: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(texts))


def _frozen_prices(prices: Mapping[str, Price]) -> Mapping[str, Price]:
    return MappingProxyType(dict(prices))


@frozen(kw_only=True)
class Assistant:
    """What the operator declares about the assistant.

    Attributes:
        system_prompt: one for all languages, of the conversations that have none of ``prompts``.
        welcomes: welcome by BCP 47 tag; at least one, and the first is the default.
        prompts: system prompts for some conversations; the first whose conditions hold applies.
        tools: what the model may call.
        prices: by model name.
        memory: how long conversations are handled.
    """

    system_prompt: str
    welcomes: Mapping[str, str] = field(converter=_frozen_texts)
    prompts: tuple[NamedPrompt, ...] = ()
    tools: ToolSettings = ToolSettings()
    prices: Mapping[str, Price] = field(factory=dict, converter=_frozen_prices)
    memory: Memory = Memory()

    @welcomes.validator
    def _has_a_language(self, _: object, welcomes: Mapping[str, str]) -> None:
        if not welcomes:
            raise ValueError("an assistant must have a welcome in at least one language")

    @property
    def default_locale(self) -> str:
        """The tag of the first welcome."""
        return next(iter(self.welcomes))

    def system_prompt_for(self, conversation: Conversation) -> str:
        """The system prompt of a conversation; the default one if its prompt is not in the file."""
        names = {prompt.name: prompt.system_prompt for prompt in self.prompts}
        return names.get(conversation.prompt_name or "", self.system_prompt)

    def locale_for(self, preferred: Iterable[str]) -> str:
        """The first preferred locale that has a welcome, by the lookup of RFC 4647, section 3.4.

        ``preferred`` is ordered, best first. Only its first 16 tags are considered, and of those
        only short ones (see ``is_language_tag_short``). Returns the default locale if none matches.
        """
        own = {tag.lower(): tag for tag in self.welcomes}
        for tag in filter(is_language_tag_short, islice(preferred, MAX_LANGUAGE_TAGS)):
            for shorter in _fallbacks(tag.lower()):
                if shorter in own:
                    return own[shorter]
        return self.default_locale

    def cost_of(self, model: str, usage: Usage | None) -> Decimal | None:
        """The cost of a reply; None if the price or the usage is unknown."""
        price = self.prices.get(model)
        return None if price is None or usage is None else price.of(usage)


def is_language_tag_short(tag: str) -> bool:
    """Whether the tag has at most 35 characters and 8 subtags, as all tags in use have."""
    separators = tag.count("-") + tag.count("_")
    return len(tag) <= MAX_LANGUAGE_TAG_CHARACTERS and separators < MAX_LANGUAGE_SUBTAGS


def _fallbacks(tag: str) -> Iterator[str]:
    subtags = tag.replace("_", "-").split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        # RFC 4647: a single letter or digit only introduces the subtag after it.
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
