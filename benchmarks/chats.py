"""Chats to measure with, ten exchanges each, in five languages.

Written for this by a language model in both roles: everyday questions and answers of ordinary
length, with lists, quotes and numbers. None of it, neither sentence nor subject, was among what the
compression dictionary was trained with, and Italian was not among its languages.
"""
# ruff: noqa: INP001 - imported by scripts

from functools import cache
from pathlib import Path

from attrs import frozen

EXCHANGES = 10


@frozen
class Chat:
    """What was said: the questions and, at the same places, the replies."""

    language: str
    exchanges: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of plain text."""
        return sum(len(text.encode()) for pair in self.exchanges for text in pair)


@cache
def chats() -> tuple[Chat, ...]:
    """One of each language."""
    return tuple(_read(file) for file in sorted((Path(__file__).parent / "texts").glob("*.txt")))


def _read(file: Path) -> Chat:
    said = file.read_text().rstrip("\n").split("\n---\n")
    assert len(said) == 2 * EXCHANGES, file
    return Chat(file.stem, tuple(zip(said[::2], said[1::2], strict=True)))
