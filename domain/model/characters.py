"""Characters by kind: how many tokens a text has depends above all on its script."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

from attrs import frozen

CharacterCounts: TypeAlias = tuple[int, ...]
"""How many characters of each kind a text has, in the order of ``CHARACTER_KINDS``.

Counts of 0 at the end may be left out.
"""


@frozen
class CharacterKind:
    """Characters that take about the same number of tokens each.

    Attributes:
        first_bytes: the bytes with which such a character begins in UTF-8.
        tokens: a cautious rate: tokens per character, before anything is known about the model.
        least: the lowest rate that may be learned, as a part of ``tokens``. No common language has
            a lower one, but some texts do, such as one letter again and again.
    """

    name: str
    first_bytes: Sequence[int]
    tokens: float
    least: float = 0.2


_BREAKS: Final = b"\t\n\r"
_DIGITS: Final = b"0123456789"
_LOWERCASE: Final = bytes(range(ord("a"), ord("z") + 1))
_UPPERCASE: Final = _LOWERCASE.upper()
_OTHER_ASCII: Final = bytes(
    set(range(0x80)) - {*b" ", *_BREAKS, *_DIGITS, *_LOWERCASE, *_UPPERCASE}
)

CHARACTER_KINDS: Final = (
    # The most frequent ones come first: counting ends when every character has been found.
    CharacterKind("lowercase", _LOWERCASE, 0.45, 0.32),
    CharacterKind("space", b" ", 0.02),
    CharacterKind("punctuation", _OTHER_ASCII, 0.5, 0.3),
    CharacterKind("accented letter", range(0xC3, 0xCE), 1.5, 0.3),
    CharacterKind("uppercase", _UPPERCASE, 1.1, 0.3),
    CharacterKind("line break", _BREAKS, 0.3, 0.3),
    CharacterKind("digit", _DIGITS, 1.1, 0.3),
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


def add_counts(counts: Iterable[CharacterCounts]) -> CharacterCounts:
    """The characters of several texts together."""
    return tuple(map(sum, zip_longest(*counts, fillvalue=0)))
