"""What users may send, and the ids they may choose."""

import pytest

from domain.model.errors import InvalidInput
from domain.model.identifiers import OWNER_SECRET_BYTES, Owner, message_id, session_id
from domain.model.limits import (
    DEFAULT_MESSAGE_CHARACTERS,
    MAX_PAGE_CONTEXT_BYTES,
    MessageLimit,
)
from domain.service.user_input import (
    brackets_of,
    nesting_levels,
    nests_too_deeply,
    page_context,
    user_text,
)
from tests.support.builders import ID


@pytest.mark.parametrize(
    "text", ["a", " a ", "ä" * DEFAULT_MESSAGE_CHARACTERS, "\t🙂\n", "\u202eabc"]
)
def test_text_is_accepted_exactly_as_typed(text: str) -> None:
    assert user_text(text, MessageLimit()).text == text


def test_the_operators_limit_counts_and_is_named() -> None:
    limit = MessageLimit(characters=100_000)

    assert len(user_text("ä" * 100_000, limit).text) == 100_000
    with pytest.raises(InvalidInput, match="at most 100,000 characters"):
        user_text("ä" * 100_001, limit)


@pytest.mark.parametrize("characters", [0, 100_001])
def test_a_limit_on_messages_is_from_1_to_100_000(characters: int) -> None:
    with pytest.raises(ValueError, match="characters"):
        MessageLimit(characters=characters)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "message_empty"),
        (" \n\t\u3000", "message_empty"),
        ("a" * (DEFAULT_MESSAGE_CHARACTERS + 1), "message_too_long"),
        ("a\0b", "message_not_text"),
        ("a\ud800b", "message_not_text"),
    ],
)
def test_an_invalid_message_is_refused_with_the_problem(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        user_text(text, MessageLimit())

    assert (refused.value.problem, refused.value.field) == (problem, "message")


def test_page_context_is_bounded_in_bytes() -> None:
    fitting = "ä" * (MAX_PAGE_CONTEXT_BYTES // 2)

    assert page_context(fitting) == fitting
    with pytest.raises(InvalidInput) as refused:
        page_context(fitting + "a")
    assert refused.value.problem == "context_too_long"


@pytest.mark.parametrize(
    "text",
    ["", "x", ID.upper(), f"{{{ID}}}", ID.replace("-", ""), f"urn:uuid:{ID}", f" {ID}", ID[:-1]],
)
def test_a_session_id_has_one_spelling(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        session_id(text)

    assert refused.value.problem == "session_id_malformed"
    assert session_id(ID) == ID


@pytest.mark.parametrize("text", ["", "a" * 65, "a b", "ä", "a/b", "a\n"])
def test_a_malformed_message_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        message_id(text)

    assert refused.value.problem == "message_id_malformed"
    assert message_id("A-z_09" + "a" * 58)


def test_an_owner_never_shows_the_secret() -> None:
    assert repr(Owner(secret=b"planted" + bytes(25))) == "Owner()"


@pytest.mark.parametrize("length", [0, OWNER_SECRET_BYTES - 1, OWNER_SECRET_BYTES + 1])
def test_an_owners_secret_must_have_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Owner(secret=bytes(length))


@pytest.mark.parametrize(
    ("json", "too_deeply"),
    [
        (b"[" * 64 + b"]" * 64, False),
        (b"[" * 65 + b"]" * 65, True),
        (b'{"a":' * 64 + b"1" + b"}" * 64, False),
        (b'{"a":[' * 33 + b"1" + b"]}" * 33, True),
        (b"[" + b"[[]]," * 1_000 + b"1]", False),
        (b'["' + b"[" * 100 + b'"]', False),
        (b'["' + b'\\"[' * 100 + b'"]', False),
        (b'["\\\\",' + b"[" * 64 + b"]" * 65, True),
        (b'["\\\\\\"",' + b"[" * 63 + b"]" * 64, False),
        (b'["","[","]",""]' * 100, False),
    ],
)
def test_only_brackets_outside_strings_nest(json: bytes, too_deeply: bool) -> None:  # noqa: FBT001
    assert nests_too_deeply(json) is too_deeply


@pytest.mark.parametrize("size", [1, 7, 8, 9, 100])
def test_levels_can_be_counted_in_parts(size: int) -> None:
    json = b'{"a":[[[],{}],[[[1]]]],"b":[' + b"[" * 40 + b"]" * 40 + b"]}"
    brackets, deepest, level = brackets_of(json), 0, 0
    for start in range(0, len(brackets), size):
        highest, level = nesting_levels(brackets[start : start + size], level)
        deepest = max(deepest, highest)

    assert (deepest, level) == (42, 0)
