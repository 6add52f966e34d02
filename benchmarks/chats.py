"""Chats for the benchmarks: ten exchanges each, in five languages.

A language model wrote both roles for this purpose: everyday questions and answers of ordinary
length, with lists, quotes and numbers. The compression dictionary was trained on none of these
texts and subjects, and on no Italian at all.
"""
# ruff: noqa: INP001 - imported by scripts

from functools import cache
from pathlib import Path

from attrs import frozen

EXCHANGES = 10


@frozen
class Chat:
    """Pairs of question and reply."""

    language: str
    exchanges: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of plain text."""
        return sum(len(text.encode()) for pair in self.exchanges for text in pair)


@cache
def chats() -> tuple[Chat, ...]:
    """One chat per language."""
    return tuple(_read(file) for file in sorted((Path(__file__).parent / "texts").glob("*.txt")))


def _read(file: Path) -> Chat:
    messages = file.read_text().rstrip("\n").split("\n---\n")
    assert len(messages) == 2 * EXCHANGES, file
    return Chat(file.stem, tuple(zip(messages[::2], messages[1::2], strict=True)))
