"""How much a language model may be sent: its context window, counted in estimated tokens."""

from typing import Final

from attrs import field, frozen
from attrs.validators import gt

from domain.model.message import (
    ImagePart,
    Message,
    ToolCallPart,
    ToolResultPart,
    utf8_length,
)

MIN_PROMPT_TOKENS: Final = 256
"""A useful prompt needs at least this many."""


@frozen(kw_only=True)
class TokenRates:
    """How many tokens a model's tokenizer makes of texts and images, estimated.

    Attributes:
        bytes_per_token: bytes of UTF-8 in one token of text.
        image_tokens: tokens of an image of any size: models count about 100 to 1,600.
    """

    bytes_per_token: float = field(default=3.0, validator=gt(0))
    image_tokens: int = field(default=1_600, validator=gt(0))

    def of_text(self, text: str) -> int:
        """Tokens in a text: at least 1."""
        return int(utf8_length(text) / self.bytes_per_token) + 1

    def of_message(self, message: Message) -> int:
        """Tokens in a message with its tool calls, their results and its images."""
        tools = (
            part.arguments if isinstance(part, ToolCallPart) else part.output
            for part in message.parts
            if isinstance(part, ToolCallPart | ToolResultPart)
        )
        images = self.image_tokens * sum(isinstance(part, ImagePart) for part in message.parts)
        return self.of_text(message.text) + sum(map(self.of_text, tools)) + images


CAUTIOUS_RATES: Final = TokenRates()
"""For a model of which nothing is known."""


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
"""The context window of a model of which none is known, in tokens."""


@frozen(kw_only=True)
class BudgetBounds:
    """What the operator has set about the budget.

    Attributes:
        reply_tokens: upper bound for a reply.
        window: the model's context window in tokens; None: the one that the model's server states.
        prompt_tokens: upper bound for a prompt together with its reply; None: the context window.
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
