"""The rules of a conversation: retention, numbering, truncation, what is loaded."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from domain.model.conversation import (
    RETENTION,
    UNUSED_RETENTION,
    WORKING_MEMORY,
    Folding,
    new_conversation,
    retention_restarted,
    tail_of,
    truncated,
    with_message,
    with_retention_from,
    with_welcome,
)
from domain.model.errors import OlderMessagesNeeded
from domain.model.identifiers import MessageId
from domain.model.message import Role, TextPart
from tests.support.builders import (
    ID,
    PROCESS,
    a_conversation,
    a_message,
    after_turns,
    texts_of,
    with_question,
    with_user_message,
)
from tests.support.clocks import NOON

HOUR = timedelta(hours=1)


def test_retention_is_a_day_and_an_hour_before_the_first_turn() -> None:
    assert (timedelta(days=1), HOUR) == (RETENTION, UNUSED_RETENTION)


def test_a_new_conversation_is_empty_and_retained_for_an_hour() -> None:
    conversation = new_conversation(ID, locale="fi", at=NOON)

    assert (conversation.messages, conversation.turn) == ((), None)
    assert (conversation.locale, conversation.created_at) == ("fi", NOON)
    assert conversation.expires_at == NOON + HOUR


def test_a_welcome_is_the_assistants_first_message_and_belongs_to_no_turn() -> None:
    welcome = with_welcome(a_conversation(), MessageId("w"), "Hi!").messages[0]

    assert (welcome.id, welcome.text, welcome.role) == ("w", "Hi!", Role.ASSISTANT)
    assert (welcome.number, welcome.turn) == (1, 0)


def test_retention_is_counted_from_the_passed_time() -> None:
    later = with_retention_from(a_conversation(), NOON + HOUR)

    assert later.expires_at == NOON + HOUR + RETENTION
    assert retention_restarted(a_conversation(), later)
    assert not retention_restarted(later, with_user_message(later))


def test_only_the_two_retention_periods_are_allowed() -> None:
    with pytest.raises(ValueError, match="retained_for"):
        a_conversation(retained_for=timedelta(days=2))


def test_a_message_must_have_the_next_number() -> None:
    with pytest.raises(ValueError, match="next number"):
        with_message(a_conversation(), a_message(2))


def test_truncating_removes_a_message_and_all_that_follow() -> None:
    shorter = truncated(after_turns(3), 3)

    assert texts_of(shorter) == ["question 1", "answer 1"]
    assert shorter.next_number == 7


def test_truncating_at_a_message_that_may_not_be_loaded_needs_older_messages() -> None:
    tail = tail_of(after_turns(3), 2)
    with pytest.raises(OlderMessagesNeeded):
        truncated(tail, tail.messages[0].number)

    assert texts_of(truncated(tail, tail.messages[1].number)) == ["question 3"]


def test_truncating_needs_the_messages_that_the_model_sees_again() -> None:
    tail = tail_of(evolve(after_turns(3), working_memory_from=5), 4)

    with pytest.raises(OlderMessagesNeeded):
        truncated(tail, 4)


def memory_after_truncation(number: int) -> tuple[int, int, str | None]:
    whole = evolve(
        after_turns(4), working_memory_from=7, summarized_until=3, summary="They said hello."
    )
    shorter = truncated(whole, number)
    return shorter.working_memory_from, shorter.summarized_until, shorter.summary


def test_a_summary_is_removed_with_any_message_it_covers() -> None:
    assert memory_after_truncation(2) == (1, 1, None)


def test_a_summary_is_removed_if_it_covers_all_messages_that_are_left() -> None:
    assert memory_after_truncation(3) == (1, 1, None)


def test_messages_without_a_summary_are_seen_again_if_no_others_are_left() -> None:
    assert memory_after_truncation(5) == (3, 3, "They said hello.")
    assert memory_after_truncation(7) == (3, 3, "They said hello.")
    assert memory_after_truncation(8) == (7, 3, "They said hello.")


def test_a_claim_is_dropped_if_messages_that_it_covers_are_removed() -> None:
    folding = Folding(process=PROCESS, since=NOON, until=5)
    claimed = evolve(after_turns(4), folding=folding)

    assert truncated(claimed, 6).folding == folding
    assert truncated(claimed, 5).folding is None


def test_working_memory_and_forgotten_messages_together_are_the_history() -> None:
    conversation = evolve(after_turns(3), working_memory_from=5)

    assert [message.number for message in conversation.working_memory] == [5, 6]
    assert [message.number for message in conversation.forgotten_messages] == [1, 2, 3, 4]


@pytest.mark.parametrize(("count", "earlier"), [(None, 0), (0, 6), (2, 4), (6, 0), (9, 0)])
def test_a_tail_counts_what_precedes_it(count: int | None, earlier: int) -> None:
    tail = tail_of(after_turns(3), count)

    assert tail.earlier == earlier
    assert tail.messages == after_turns(3).messages[earlier:]
    assert tail_of(tail, 1).earlier == max(earlier, 5)


@pytest.mark.parametrize(
    ("members", "earlier"),
    [
        ({}, 0),
        ({"working_memory_from": 4}, 3),
        ({"working_memory_from": 4, "instructions_from": 2}, 1),
        ({"working_memory_from": 4, "instructions_from": 5}, 3),
        ({"working_memory_from": 7}, 5),
    ],
)
def test_the_working_memory_has_the_instructions_and_at_least_one_message(
    members: dict[str, Any], earlier: int
) -> None:
    tail = tail_of(evolve(after_turns(3), **members), WORKING_MEMORY)

    assert tail.earlier == earlier


def test_values_do_not_change() -> None:
    conversation = a_conversation(metadata={"a": "b"})
    with pytest.raises(FrozenInstanceError):
        conversation.locale = "fi"  # type: ignore[misc]
    with pytest.raises(TypeError):
        conversation.metadata["a"] = "c"  # type: ignore[index]


def test_changing_the_passed_metadata_does_not_change_the_conversation() -> None:
    metadata = {"a": "b"}
    conversation = a_conversation(metadata=metadata)
    metadata["a"] = "c"

    assert conversation.metadata == {"a": "b"}


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="UTC"):
        a_message(created_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the subject


def test_the_text_of_a_message_is_the_text_of_its_parts_in_order() -> None:
    message = a_message(parts=(TextPart("a"), TextPart("b")))

    assert message.text == "ab"
    assert with_question(a_conversation(), "Hi").messages[0].open_tool_calls == ()
