"""The metadata that clients attach to a conversation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.errors import InvalidInput
from domain.service.metadata import charged_bytes, with_metadata_changes
from tests.support.builders import a_conversation, after_turns

TEA = a_conversation(metadata={"topic": "tea", "draft": "yes"})

names = st.text(max_size=3)
values = st.text(max_size=3)


def changed(changes: dict[str, str | None] | None) -> dict[str, str]:
    return dict(with_metadata_changes(TEA, changes).metadata)


def test_a_change_sets_and_removes_names_and_keeps_the_others() -> None:
    assert changed({"draft": None, "title": "Tea"}) == {"topic": "tea", "title": "Tea"}


@pytest.mark.parametrize("changes", [{}, {"unknown": None}, {"topic": "tea"}])
def test_a_change_may_change_nothing(changes: dict[str, str | None]) -> None:
    assert with_metadata_changes(TEA, changes) == TEA


def test_none_removes_all_names() -> None:
    assert changed(None) == {}


def test_there_are_at_most_sixteen_names() -> None:
    fifteen = {f"n{number}": "" for number in range(15)}
    full = with_metadata_changes(a_conversation(metadata=fifteen), {"new": "1"})

    assert len(full.metadata) == 16
    with pytest.raises(InvalidInput, match="at most 16 names") as caught:
        with_metadata_changes(full, {"another": "1"})
    assert (caught.value.problem, caught.value.field) == ("invalid_input", "metadata")
    assert "another" in with_metadata_changes(full, {"another": "1", "new": None}).metadata


@settings(max_examples=50)
@given(
    before=st.dictionaries(names, values, max_size=4),
    changes=st.dictionaries(names, st.none() | values, max_size=4),
)
def test_a_repeated_change_changes_nothing_more(
    before: dict[str, str], changes: dict[str, str | None]
) -> None:
    once = with_metadata_changes(a_conversation(metadata=before), changes)

    assert with_metadata_changes(once, changes) == once
    assert {name: once.metadata.get(name) for name in changes} == changes
    assert all(once.metadata[name] == before[name] for name in before.keys() - changes.keys())


def test_a_change_neither_restarts_the_retention_nor_touches_the_messages() -> None:
    conversation = after_turns(2)
    patched = with_metadata_changes(conversation, {"a": "b"})

    assert patched.expires_at == conversation.expires_at
    assert patched.messages == conversation.messages


def test_even_empty_metadata_is_charged() -> None:
    assert charged_bytes({}) == 256
    assert charged_bytes({"ä": "b"}) == 256 + 3
