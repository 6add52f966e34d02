"""Token rates that are easy to calculate with."""

from typing import Final

from attrs import frozen

from domain.model.message import utf8_length
from domain.model.token_rates import TokenRates


@frozen(kw_only=True)
class WordRates(TokenRates):
    """Counts each word as one token."""

    def of_text(self, text: str) -> int:
        return len(text.split())


@frozen(kw_only=True)
class ByteRates(TokenRates):
    """Counts each byte of text as one token."""

    def of_text(self, text: str) -> int:
        return utf8_length(text)


@frozen(kw_only=True)
class ThirdRates(TokenRates):
    """Counts three bytes of text as one token."""

    def of_text(self, text: str) -> int:
        return utf8_length(text) // 3 + 1


WORDS: Final = WordRates(message_tokens=0)
BYTES: Final = ByteRates(message_tokens=0)
THIRDS: Final = ThirdRates(message_tokens=0)
