"""How many tokens a model's tokenizer makes of a prompt, estimated from the kinds of characters.

Every model has its own tokenizer, and few servers count tokens for their callers. The script of a
text matters most: a token has four or five letters of English, about three of Finnish, and one
character of Chinese or half of one. So characters are counted by kind, and each kind has a rate.
"""

from collections.abc import Sequence
from math import ceil
from operator import mul
from typing import Final, TypeAlias

from attrs import field, frozen
from attrs.validators import ge, gt

from domain.model.message import ImagePart, Message, ToolCallPart, ToolResultPart

CharacterCounts: TypeAlias = tuple[int, ...]
"""How many characters of each kind a text has, in the order of ``CHARACTER_KINDS``.

Kinds at the end that the text lacks may be left out.
"""


@frozen
class CharacterKind:
    """Characters that take about as many tokens as each other.

    Attributes:
        first_bytes: the bytes with which such a character begins in UTF-8.
        tokens: tokens per character of a model of which nothing is known; cautious.
    """

    name: str
    first_bytes: Sequence[int]
    tokens: float


_BREAKS: Final = b"\t\n\r"
_DIGITS: Final = b"0123456789"
_LOWERCASE: Final = bytes(range(ord("a"), ord("z") + 1))
_UPPERCASE: Final = _LOWERCASE.upper()
_OTHER_ASCII: Final = bytes(
    set(range(0x80)) - {*b" ", *_BREAKS, *_DIGITS, *_LOWERCASE, *_UPPERCASE}
)

CHARACTER_KINDS: Final = (
    # The most frequent ones come first: counting ends when every character has been found.
    CharacterKind("lowercase", _LOWERCASE, 0.45),
    CharacterKind("space", b" ", 0.02),
    CharacterKind("punctuation", _OTHER_ASCII, 0.5),
    CharacterKind("accented letter", range(0xC3, 0xCE), 1.5),
    CharacterKind("uppercase", _UPPERCASE, 1.1),
    CharacterKind("line break", _BREAKS, 0.3),
    CharacterKind("digit", _DIGITS, 1.1),
    CharacterKind("Chinese, Japanese, Korean", range(0xE3, 0xEE), 1.55),
    CharacterKind("Greek, Cyrillic", range(0xCE, 0xD5), 0.55),
    CharacterKind("Hebrew, Arabic", range(0xD5, 0xE0), 1.2),
    CharacterKind("Indic, Thai and others", range(0xE0, 0xE2), 1.65),
    CharacterKind("symbol", (0xC2, 0xE2), 2.0),
    CharacterKind("emoji and others", range(0xEE, 0xF5), 4.0),
)


def _kinds_by_byte() -> bytes:
    """For each byte, the index of the kind of characters that begin with it; 255 if none does."""
    table = bytearray([255] * 256)
    for index, kind in enumerate(CHARACTER_KINDS):
        for byte in kind.first_bytes:
            table[byte] = index
    return bytes(table)


_KINDS_BY_BYTE: Final = _kinds_by_byte()


def count_characters(text: str) -> CharacterCounts:
    """The characters of ``text`` by kind; an unpaired surrogate counts as Korean."""
    kinds = text.encode("utf-8", "surrogatepass").translate(_KINDS_BY_BYTE)
    remaining = len(text)
    counts: list[int] = []
    while remaining:
        count = kinds.count(len(counts))
        counts.append(count)
        remaining -= count
    return tuple(counts)


@frozen(kw_only=True)
class TokenRates:
    """How many tokens the parts of a prompt take.

    Attributes:
        per_character: tokens per character, in the order of ``CHARACTER_KINDS``.
        message_tokens: what the model's chat template adds to each message.
        request_tokens: what the chat template and our own sentences add to each prompt.
        image_tokens: tokens of an image of any size: models count about 100 to 1,600.
        margin: the part by which estimates are raised, because no two texts are alike.
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
        tokens = sum(map(mul, count_characters(text), self.per_character))
        return ceil(tokens * (1 + self.margin)) or 1

    def of_message(self, message: Message) -> int:
        """Tokens in a message with its tool calls, their results and its images."""
        texts = message_texts(message)
        images = sum(isinstance(part, ImagePart) for part in message.parts)
        template = self.message_tokens * len(texts) * (1 + self.margin)
        return sum(map(self.of_text, texts)) + ceil(template) + self.image_tokens * images

    @property
    def of_empty_prompt(self) -> int:
        """Tokens in a prompt without system prompt and messages."""
        return ceil(self.request_tokens * (1 + self.margin))


CAUTIOUS_RATES: Final = TokenRates()
"""For a model of which nothing is known."""


def message_texts(message: Message) -> Sequence[str]:
    """The texts of a message that are sent to the model: its own, then those of its tools.

    Each of a tool's becomes a message of its own in most chat templates.
    """
    tools = (
        part.arguments if isinstance(part, ToolCallPart) else part.output
        for part in message.parts
        if isinstance(part, ToolCallPart | ToolResultPart)
    )
    return message.text, *tools
