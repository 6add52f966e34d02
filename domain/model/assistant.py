"""Who answers: the assistant's prompt, its welcome in each of its languages, and what it costs."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from domain.model.message import Usage

_TOKENS_PER_PRICE: Final = 1_000_000


@frozen(kw_only=True)
class Price:
    """What a model costs, in the operator's currency per million tokens."""

    input: Decimal
    output: Decimal

    def of(self, usage: Usage) -> Decimal:
        """The cost of one reply; a count that the model did not tell counts as 0."""
        spent = self.input * (usage.input_tokens or 0) + self.output * (usage.output_tokens or 0)
        return spent / _TOKENS_PER_PRICE


def _frozen_texts(given: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(given))


def _frozen_prices(given: Mapping[str, Price]) -> Mapping[str, Price]:
    return MappingProxyType(dict(given))


@frozen(kw_only=True)
class Assistant:
    """The assistant's profile.

    Attributes:
        system_prompt: the same in every language.
        welcomes: welcome by BCP 47 tag, the first is the default; at least one.
        prices: by model name.
    """

    system_prompt: str
    welcomes: Mapping[str, str] = field(converter=_frozen_texts)
    prices: Mapping[str, Price] = field(factory=dict, converter=_frozen_prices)

    @welcomes.validator
    def _speaks_some_language(self, _: object, welcomes: Mapping[str, str]) -> None:
        if not welcomes:
            raise ValueError("an assistant has a welcome in at least one language")

    @property
    def default_locale(self) -> str:
        """The first of its locales."""
        return next(iter(self.welcomes))

    def locale_for(self, wanted: Iterable[str]) -> str:
        """The first wanted locale it has, falling back along each tag (RFC 4647, section 3.4).

        ``wanted`` is in falling order of preference; with no match it is the default locale.
        """
        own = {tag.lower(): tag for tag in self.welcomes}
        for tag in wanted:
            for shorter in _fallbacks(tag.lower()):
                if shorter in own:
                    return own[shorter]
        return self.default_locale

    def cost_of(self, model: str, usage: Usage | None) -> Decimal | None:
        """What a reply cost, absent when the price or the usage is not known."""
        price = self.prices.get(model)
        return None if price is None or usage is None else price.of(usage)


def _fallbacks(tag: str) -> Iterable[str]:
    subtags = tag.replace("_", "-").split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        # RFC 4647: a single letter or digit only introduces what followed it.
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
