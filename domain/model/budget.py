"""How much a language model may be sent: its context window, counted in estimated tokens."""

from typing import Final

from attrs import field, frozen

from domain.model.token_rates import CAUTIOUS_RATES, TokenRates

MIN_PROMPT_TOKENS: Final = 256
"""A useful prompt needs at least this many."""


@frozen(kw_only=True)
class Budget:
    """How much the model may see.

    Attributes:
        tokens: upper bound for one prompt together with its reply; at least 256.
        reply_tokens: the part of it reserved for the reply; smaller than ``tokens``.
        rates: how tokens are counted.
    """

    tokens: int = field()
    reply_tokens: int = field()
    rates: TokenRates = CAUTIOUS_RATES

    @tokens.validator
    def _has_enough(self, _: object, tokens: int) -> None:
        if tokens < MIN_PROMPT_TOKENS:
            raise ValueError(f"tokens must be at least {MIN_PROMPT_TOKENS}")

    @reply_tokens.validator
    def _leaves_room(self, _: object, reply_tokens: int) -> None:
        if not 0 < reply_tokens < self.tokens:
            raise ValueError("reply_tokens must be above 0 and below tokens")
