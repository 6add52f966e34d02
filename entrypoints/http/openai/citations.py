"""The sources of a reply as OpenAI's annotations of its text.

A ``[2]`` in the text cites the second source of the reply. If a source is cited nowhere, its
annotation covers the whole text that ends the reply. A source without a URL has no annotation,
because OpenAI's annotations need one. The indexes count characters, and the end is exclusive.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from attrs import define, field

from domain.model.message import Part, SourcePart, TextPart, UnknownPart

_MAX_MARKED: Final = 1_000
"""How many citations of one text are annotated. A user can make a model write very many of them,
and each annotation repeats a URL and a title."""
_MARKER: Final = re.compile(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]")


@define
class Citations:
    """Annotates the texts of one reply, in order."""

    _sources: list[SourcePart] = field(factory=list)
    _cited: set[int] = field(factory=set)

    def add(self, source: SourcePart) -> None:
        """Add the next source; sources come before the texts that cite them."""
        self._sources.append(source)

    def annotations(self, text: str, *, ends_reply: bool) -> list[dict[str, Any]]:
        """The annotations of the next text; ``ends_reply`` if nothing follows it."""
        if not self._sources:
            return []
        marked = [*islice(self._marked(text), _MAX_MARKED)]
        self._cited.update(number for number, _, _ in marked)
        if ends_reply:
            others = (n for n in range(1, len(self._sources) + 1) if n not in self._cited)
            marked += [(number, 0, len(text)) for number in others]
        return [*self._documents(marked)]

    def _marked(self, text: str) -> Iterator[tuple[int, int, int]]:
        for match in _MARKER.finditer(text):
            for number in dict.fromkeys(map(int, match[1].split(","))):
                if 1 <= number <= len(self._sources):
                    yield number, match.start(), match.end()

    def _documents(self, marked: Sequence[tuple[int, int, int]]) -> Iterator[dict[str, Any]]:
        for number, start, end in marked:
            source = self._sources[number - 1]
            if source.url is not None:
                yield {
                    "type": "url_citation",
                    "start_index": start,
                    "end_index": end,
                    "url": source.url,
                    "title": source.title,
                }


def annotations_of(parts: Sequence[Part]) -> Mapping[int, list[dict[str, Any]]]:
    """The annotations of each text in a reply, by the index of its part."""
    citations = Citations()
    last = _last_index(parts)
    found: dict[int, list[dict[str, Any]]] = {}
    for index, part in enumerate(parts):
        match part:
            case SourcePart():
                citations.add(part)
            case TextPart(text):
                found[index] = citations.annotations(text, ends_reply=index == last)
    return found


def chat_annotations(text: str, sources: Sequence[SourcePart]) -> list[dict[str, Any]]:
    """The annotations of a chat completion whose whole content is ``text``."""
    citations = Citations()
    for source in sources:
        citations.add(source)
    return [
        {"type": citation.pop("type"), "url_citation": citation}
        for citation in citations.annotations(text, ends_reply=True)
    ]


def _last_index(parts: Sequence[Part]) -> int | None:
    """The index of the part that ends the reply; notes follow it."""
    indexes = (i for i, part in reversed([*enumerate(parts)]) if not isinstance(part, UnknownPart))
    return next(indexes, None)
