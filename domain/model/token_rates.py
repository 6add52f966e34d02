"""Estimates how many tokens a prompt has, from the kinds of characters in it.

Every model has its own tokenizer, and few servers count tokens for their callers. A token is four
or five letters of English, about three letters of Finnish, and one Chinese character or half of
one. So each kind of characters has a rate.
"""

from math import ceil
from operator import mul
from typing import Final

from attrs import field, frozen
from attrs.validators import ge, gt

from domain.model.characters import CHARACTER_KINDS, CharacterCounts, count_characters
from domain.model.message import ImagePart, Message, ToolCallPart, ToolResultPart


@frozen(kw_only=True)
class TokenRates:
    """How many tokens the parts of a prompt take.

    Attributes:
        per_character: tokens per character, in the order of ``CHARACTER_KINDS``.
        message_tokens: what the model's chat template adds to each message.
        request_tokens: what the chat template and our own sentences add to each prompt.
        image_tokens: tokens of an image of any size: models count about 100 to 1,600.
        margin: the fraction by which estimates are raised, because texts differ.
    """

    per_character: tuple[float, ...] = field(default=tuple(kind.tokens for kind in CHARACTER_KINDS))
    message_tokens: float = field(default=6.0, validator=ge(0))
    request_tokens: float = field(default=60.0, validator=ge(0))
    image_tokens: int = field(default=1_600, validator=gt(0))
    margin: float = field(default=0.0, validator=ge(0))

    @per_character.validator
    def _has_a_rate_for_each_kind(self, _: object, rates: tuple[float, ...]) -> None:
        if len(rates) != len(CHARACTER_KINDS) or min(rates) <= 0:
            raise ValueError("each kind of characters needs a rate above 0")

    def of_text(self, text: str) -> int:
        """Tokens in a text: at least 1."""
        return self._of_characters(count_characters(text)) or 1

    def of_message(self, message: Message) -> int:
        """Tokens in a message with its tool calls, their results and its images.

        In most chat templates, a tool call and its result are messages of their own.
        """
        tools = sum(isinstance(part, ToolCallPart | ToolResultPart) for part in message.parts)
        images = sum(isinstance(part, ImagePart) for part in message.parts)
        template = ceil(self.message_tokens * (1 + tools) * (1 + self.margin))
        return self._of_characters(message.characters) + template + self.image_tokens * images

    def _of_characters(self, counts: CharacterCounts) -> int:
        tokens: float = sum(map(mul, counts, self.per_character))
        return ceil(tokens * (1 + self.margin))

    @property
    def of_empty_prompt(self) -> int:
        """Tokens in a prompt without system prompt and messages."""
        return ceil(self.request_tokens * (1 + self.margin))


CAUTIOUS_RATES: Final = TokenRates()
"""For a model about which nothing is known."""
