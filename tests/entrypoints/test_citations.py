"""The sources of a reply as annotations of its text."""

import pytest

from domain.model.message import SourcePart
from entrypoints.http.openai.citations import chat_annotations

SOURCE = SourcePart(id="s1", title="Books", url="https://a.example/")


@pytest.mark.parametrize(
    "text", ["[1]" * 50_000, f"[{','.join(['1'] * 50_000)}]", "[1, 1]" * 9_000]
)
def test_a_text_that_cites_without_end_has_a_bounded_number_of_annotations(text: str) -> None:
    assert 1 <= len(chat_annotations(text, [SOURCE])) <= 1_000


def test_a_source_that_is_cited_twice_at_one_place_has_one_annotation_there() -> None:
    assert len(chat_annotations("Yes [1, 1].", [SOURCE])) == 1
