"""A conversation that continues another one: what it begins with, and how much room it has."""

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.model.budget import Budget
from domain.model.conversation import Conversation, truncated
from domain.model.identifiers import MessageId
from domain.model.limits import (
    MAX_CONVERSATION_BYTES,
    MAX_CONVERSATION_IMAGE_BYTES,
    MAX_CONVERSATION_MESSAGES,
    MAX_UNPACKED_BYTES,
)
from domain.model.message import Role, TextPart
from domain.model.prompt import DEFAULT_OPTIONS
from domain.service.carrying_over import SHARE, carried_over, continuation
from domain.service.forgetting import KEEP
from domain.service.prompt_building import build_prompt, room_for_messages
from tests.support.builders import (
    OTHER_ID,
    a_conversation,
    after_turns,
    an_image,
    texts_of,
    with_user_message,
)
from tests.support.clocks import NOON

SYSTEM = "Be brief."
SMALL = Budget(tokens=1_024, reply_tokens=128)
LARGE = Budget(tokens=1_000_000, reply_tokens=1_024)

replies = st.lists(st.integers(0, 3_000), max_size=2)
histories = st.lists(st.tuples(st.integers(1, 3_000), replies), max_size=40)


def a_history(exchanges: list[tuple[int, list[int]]]) -> Conversation:
    """A conversation with a welcome, then questions and answers of these lengths."""
    conversation = with_user_message(a_conversation(), "Welcome!", role=Role.ASSISTANT, turn=0)
    for question, answers in exchanges:
        conversation = with_user_message(conversation, "q" * question)
        for answer in answers:
            conversation = with_user_message(conversation, "a" * answer, role=Role.ASSISTANT)
    return conversation


def continued(conversation: Conversation, budget: Budget = SMALL) -> Conversation:
    carried = carried_over(conversation, SYSTEM, budget)
    ids = [MessageId(f"copy-{number}") for number in range(len(carried.messages))]
    return continuation(conversation, carried, ids, session_id=OTHER_ID, at=NOON)


@given(histories, st.sampled_from([SMALL, LARGE]))
def test_the_newest_exchanges_are_copied_as_they_are(
    exchanges: list[tuple[int, list[int]]], budget: Budget
) -> None:
    before = a_history(exchanges)
    after = continued(before, budget)
    count = len(after.messages)

    assert texts_of(after) == texts_of(before)[len(before.messages) - count :]
    assert [message.number for message in after.messages] == list(range(1, count + 1))
    assert after.next_number == count + 1
    assert not {message.id for message in after.messages} & {
        message.id for message in before.messages
    }
    assert after.messages[0].role is Role.USER or count == len(before.messages)


@given(histories, st.sampled_from([SMALL, LARGE]))
def test_the_copies_take_a_share_of_the_room_only(
    exchanges: list[tuple[int, list[int]]], budget: Budget
) -> None:
    after = continued(a_history(exchanges), budget)
    room = room_for_messages(after, SYSTEM, budget, DEFAULT_OPTIONS).usual
    questions = [message for message in after.messages if message.role is Role.USER]

    assert len(questions) <= 1 or (sum(map(budget.rates.of_message, after.messages)) <= KEEP * room)


def test_the_copies_take_a_quarter_of_the_limits_on_bytes() -> None:
    text = "x" * 4_000
    before = a_history([(len(text), [len(text)])] * 30)
    after = continued(before, LARGE)
    size = sum(len(message.text) for message in after.messages)

    assert MAX_CONVERSATION_BYTES // SHARE - 8_000 < size <= MAX_CONVERSATION_BYTES // SHARE
    assert after.counted_bytes <= MAX_UNPACKED_BYTES // SHARE


def test_the_copies_take_a_quarter_of_the_limit_on_messages() -> None:
    after = continued(a_history([(1, [1])] * (MAX_CONVERSATION_MESSAGES // 2)), LARGE)

    assert len(after.messages) > MAX_CONVERSATION_MESSAGES // SHARE - 2
    assert len(after.messages) <= MAX_CONVERSATION_MESSAGES // SHARE


def test_parts_without_text_count_too() -> None:
    parts = (TextPart(""),) * 1_000
    before = a_conversation()
    for _ in range(10):
        before = with_user_message(before, parts=parts)

    assert len(continued(before, LARGE).messages) == 1


def test_an_exchange_that_alone_takes_too_many_bytes_is_not_copied() -> None:
    before = a_history([(10, [10]), (10, [MAX_CONVERSATION_BYTES])])
    carried = carried_over(before, SYSTEM, LARGE)

    assert carried.messages == ()
    assert carried.until == before.next_number


def test_the_newest_exchange_is_copied_even_if_it_takes_more_of_the_room() -> None:
    before = a_history([(10, [10]), (10, [3_000])])

    assert texts_of(continued(before)) == texts_of(before)[-2:]


def test_images_are_copied_while_they_take_a_quarter_of_their_limit() -> None:
    few = with_user_message(a_conversation(), parts=(an_image(),))
    many = with_user_message(few, parts=(an_image(MAX_CONVERSATION_IMAGE_BYTES // SHARE),))

    assert continued(few, LARGE).image_bytes == 100
    assert len(continued(many, LARGE).messages) == 2
    assert continued(many, LARGE).image_bytes == 0


def test_messages_that_the_model_no_longer_sees_are_not_copied() -> None:
    before = evolve(after_turns(4), working_memory_from=5)

    assert texts_of(continued(before)) == ["question 3", "answer 3", "question 4", "answer 4"]


def test_instructions_are_copied_although_what_followed_them_is_not() -> None:
    before = with_user_message(a_conversation(), "Rhyme.", role=Role.DEVELOPER)
    before = evolve(before, instructions_from=1)
    for _ in range(8):
        before = with_user_message(before, "q" * 2_000)
    after = continued(before)

    assert texts_of(after)[0] == "Rhyme."
    assert after.instructions_from == 1
    assert len(after.messages) < len(before.messages)
    assert "Rhyme." in build_prompt(after, SYSTEM, LARGE).system


def test_without_instructions_the_new_conversation_has_none() -> None:
    assert continued(after_turns(1)).instructions_from is None


def test_summary_language_and_metadata_are_kept() -> None:
    before = evolve(
        after_turns(3),
        summary="They met.",
        summarized_until=3,
        working_memory_from=3,
        locale="fi",
        metadata={"topic": "lakes"},
    )
    after = continued(before)

    assert (after.summary, after.summarized_until, after.working_memory_from) == (
        "They met.",
        1,
        1,
    )
    assert (after.locale, after.metadata) == ("fi", {"topic": "lakes"})
    assert (after.id, after.turn) == (OTHER_ID, None)


def test_the_summary_of_the_other_conversation_survives_every_edit() -> None:
    before = evolve(after_turns(3), summary="They met.", summarized_until=3, working_memory_from=3)
    after = continued(before)
    folded = evolve(after, summary="They met again.", summarized_until=3, working_memory_from=3)

    assert truncated(after, 1).summary == "They met."
    assert truncated(folded, 2).summary == "They met."
    assert truncated(folded, 2).summarized_until == 1
