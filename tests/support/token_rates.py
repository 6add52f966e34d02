"""Token rates that are easy to calculate with."""

from typing import Final

from attrs import frozen

from domain.model.budget import TokenRates
from domain.model.message import utf8_length


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


WORDS: Final = WordRates()
BYTES: Final = ByteRates()
