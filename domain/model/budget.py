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


DEFAULT_WINDOW: Final = 8_192
"""The context window, in tokens, of a model about which nothing is known."""


@frozen(kw_only=True)
class BudgetBounds:
    """What the operator has set about the budget.

    Attributes:
        reply_tokens: upper bound for a reply.
        window: the model's context window in tokens; None for the one that the server states.
        prompt_tokens: upper bound for a prompt together with its reply; None if only the context
            window limits it.
    """

    reply_tokens: int
    window: int | None = None
    prompt_tokens: int | None = None

    def budget(self, window: int, rates: TokenRates = CAUTIOUS_RATES) -> Budget:
        """The budget for a model with a context window of this many tokens.

        The reply gets at most half of it, unless the operator has set the window too.
        """
        tokens = max(MIN_PROMPT_TOKENS, min(window, self.prompt_tokens or window))
        most = tokens - 1 if tokens == self.window else tokens // 2
        return Budget(tokens=tokens, reply_tokens=min(self.reply_tokens, most), rates=rates)
