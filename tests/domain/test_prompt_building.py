"""Which part of a conversation the model sees."""

from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.budget import CAUTIOUS_RATES, Budget, TokenRates
from domain.model.conversation import Conversation, tail_of, with_message
from domain.model.errors import InvalidInput, OlderMessagesNeeded
from domain.model.identifiers import MessageId
from domain.model.message import Message, PromptReport, Role
from domain.model.prompt import DEFAULT_OPTIONS, Prompt, ReplyOptions, Tool
from domain.service.prompt_building import (
    build_prompt,
    prompt_report,
    prompt_tokens,
    require_option_room,
    require_room,
    sees_all,
    with_prompt_report,
)
from domain.service.turn_lifecycle import with_welcome
from tests.support.builders import (
    a_conversation,
    a_message,
    after_turns,
    an_image,
    reply_id,
    with_answer,
    with_question,
)

SYSTEM = "Be brief."


@frozen(kw_only=True)
class WordRates(TokenRates):
    """Counts each word as one token."""

    def of_text(self, text: str) -> int:
        return len(text.split())


WORDS = WordRates()
count_words = WORDS.of_text
IMAGE_TOKENS = CAUTIOUS_RATES.image_tokens


def prompt_texts(
    budget: int, turns: int = 4, *, page_context: str | None = None, **members: Any
) -> list[str]:
    """The texts in a prompt of at most ``budget`` words without the reply."""
    newest = with_question(after_turns(turns), "and now", turns + 1, page_context=page_context)
    conversation = evolve(newest, **members)
    limits = Budget(tokens=budget + 256, reply_tokens=256)
    return [
        message.text
        for message in build_prompt(conversation, SYSTEM, evolve(limits, rates=WORDS)).messages
    ]


def test_all_messages_are_in_the_prompt_if_they_fit() -> None:
    assert len(prompt_texts(20)) == 9


def test_the_newest_messages_that_fit_are_in_the_prompt_starting_with_a_users() -> None:
    # The system prompt and each message have two words. Seven words hold two messages, but the
    # first of them is a reply.
    assert prompt_texts(8) == ["question 4", "answer 4", "and now"]
    assert prompt_texts(7) == ["and now"]


def test_the_newest_message_is_in_the_prompt_even_if_it_does_not_fit() -> None:
    assert prompt_texts(1) == ["and now"]


def test_page_context_and_summary_count_against_the_budget() -> None:
    assert prompt_texts(8, summary="one two three four") == ["and now"]
    assert prompt_texts(8, page_context="one two three four") == ["and now"]


def test_page_context_counts_once_and_only_with_the_newest_message() -> None:
    earlier = with_answer(with_question(a_conversation(), page_context="one two three four"))
    newer = with_question(earlier, number=2, page_context="five")
    budget = Budget(tokens=512, reply_tokens=256, rates=WORDS)
    prompt = build_prompt(newer, SYSTEM, budget)

    assert prompt.page_context == "five"
    # The system prompt, the context, "Hello?", "Hi!" and "Hello?".
    assert prompt_tokens(prompt, WORDS) == 2 + 1 + 1 + 1 + 1


def test_the_page_context_of_an_earlier_message_is_not_in_the_prompt() -> None:
    earlier = with_answer(with_question(a_conversation(), page_context="{}"))
    budget = Budget(tokens=4_096, reply_tokens=64)
    prompt = build_prompt(with_question(earlier, number=2), SYSTEM, budget)

    assert prompt.page_context is None


def test_forgotten_messages_are_not_in_the_prompt() -> None:
    assert prompt_texts(99, working_memory_from=7) == ["question 4", "answer 4", "and now"]


def test_the_prompt_carries_system_locale_context_and_summary() -> None:
    conversation = with_question(a_conversation(summary="Short.", locale="fi"), page_context="{}")
    prompt = build_prompt(conversation, SYSTEM, Budget(tokens=4_096, reply_tokens=64))

    assert (prompt.system, prompt.locale, prompt.reply_tokens) == (SYSTEM, "fi", 64)
    assert (prompt.page_context, prompt.summary) == ("{}", "Short.")


@pytest.mark.parametrize(("tokens", "reply"), [(255, 1), (256, 256), (256, 0), (300, 400)])
def test_a_budget_leaves_room_for_question_and_reply(tokens: int, reply: int) -> None:
    with pytest.raises(ValueError, match="tokens"):
        Budget(tokens=tokens, reply_tokens=reply)


@settings(max_examples=50, deadline=None)
@given(turns=st.integers(0, 12), budget=st.integers(1, 60))
def test_the_prompt_is_the_end_of_the_conversation_and_fits(turns: int, budget: int) -> None:
    chosen = prompt_texts(budget, turns)
    conversation = with_question(after_turns(turns), "and now", turns + 1)
    texts = [message.text for message in conversation.messages]

    assert chosen == texts[-len(chosen) :]
    assert conversation.messages[-len(chosen)].role is Role.USER
    assert len(chosen) == 1 or count_words(SYSTEM) + sum(map(count_words, chosen)) <= budget


def test_sees_all_is_true_if_the_prompt_had_room_for_every_loaded_message() -> None:
    tail = tail_of(with_question(after_turns(4), "and now", 5), 4)
    wide, narrow = (Budget(tokens=256 + room, reply_tokens=256) for room in (99, 3))

    assert tail.messages[0].role is Role.ASSISTANT
    assert sees_all(tail, build_prompt(tail, SYSTEM, evolve(wide, rates=WORDS)))
    assert not sees_all(tail, build_prompt(tail, SYSTEM, evolve(narrow, rates=WORDS)))


def test_an_image_counts_as_many_tokens() -> None:
    messages = (a_message(1, parts=(an_image(),)), a_message(2, "Hello?"))
    conversation = a_conversation(messages=messages, next_number=3)

    def shown(room: int) -> int:
        budget = Budget(tokens=256 + room, reply_tokens=256)
        return len(build_prompt(conversation, "", evolve(budget, rates=WORDS)).messages)

    assert [shown(IMAGE_TOKENS), shown(IMAGE_TOKENS + 1)] == [1, 2]


def test_the_estimate_of_a_prompt_includes_its_images() -> None:
    conversation = a_conversation(messages=(a_message(1, parts=(an_image(),)),), next_number=2)
    prompt = build_prompt(conversation, "", Budget(tokens=4_000, reply_tokens=256))

    assert prompt_tokens(prompt, CAUTIOUS_RATES) > IMAGE_TOKENS


def test_tokens_are_estimated_cautiously() -> None:
    assert CAUTIOUS_RATES.of_text("") == 1
    assert CAUTIOUS_RATES.of_text("abcdef") == 3
    assert CAUTIOUS_RATES.of_text("مرحبا") >= 4


def instruction(number: int, text: str = "Rhyme now.") -> Message:
    return a_message(number, text, role=Role.SYSTEM, turn=0)


def with_instruction(conversation: Conversation, text: str = "Rhyme now.") -> Conversation:
    return with_message(conversation, instruction(conversation.next_number, text))


def instructed_prompt(budget: int, options: ReplyOptions = DEFAULT_OPTIONS) -> Prompt:
    """The prompt after an instruction, two turns, an instruction and an open turn."""
    first = with_answer(with_question(with_instruction(a_conversation()), "one two"), "three four")
    second = with_answer(with_question(first, "five six", 2), "seven eight", 2)
    conversation = with_question(with_instruction(second, "Stop rhyming."), "and now", 3)
    limits = Budget(tokens=budget + 256, reply_tokens=256)
    return build_prompt(conversation, SYSTEM, evolve(limits, rates=WORDS), options=options)


def test_instructions_before_the_first_message_follow_the_system_prompt() -> None:
    prompt = instructed_prompt(99, ReplyOptions(instructions="In French."))

    assert prompt.system == "Be brief.\n\nRhyme now.\n\nIn French."


def test_later_instructions_stay_at_their_place() -> None:
    texts = [message.text for message in instructed_prompt(99).messages]

    assert texts == [
        "one two", "three four", "five six", "seven eight", "Stop rhyming.", "and now"
    ]  # fmt: skip


def test_instructions_never_fall_out_of_the_prompt() -> None:
    prompt = instructed_prompt(1)

    assert prompt.system == "Be brief.\n\nRhyme now.\n\nStop rhyming."
    assert [message.text for message in prompt.messages] == ["and now"]


def test_instructions_count_against_the_budget() -> None:
    # The system prompt, two instructions and three messages have two words each.
    assert [message.text for message in instructed_prompt(12).messages][:1] == ["five six"]
    assert [message.text for message in instructed_prompt(11).messages] == ["and now"]


def test_instructions_that_a_summary_covers_stay_in_the_prompt() -> None:
    conversation = with_question(with_answer(with_question(with_instruction(a_conversation()))))
    prompt = build_prompt(
        evolve(conversation, working_memory_from=4), SYSTEM, Budget(tokens=999, reply_tokens=9)
    )

    assert prompt.system == "Be brief.\n\nRhyme now."


def test_sees_all_ignores_instructions() -> None:
    tail = tail_of(with_question(with_instruction(after_turns(4)), "and now", 5), 2)
    wide = Budget(tokens=999, reply_tokens=256)

    assert tail.messages[0].is_instruction
    assert sees_all(tail, build_prompt(tail, SYSTEM, evolve(wide, rates=WORDS)))


BUDGET = Budget(tokens=2_000, reply_tokens=500)
LARGE = Tool(name="look", parameters='{"type":"object"}', description="x" * 3_000)


def prompt(options: ReplyOptions, conversation: Conversation | None = None) -> Prompt:
    return build_prompt(conversation or after_turns(1), "Be short.", BUDGET, options=options)


def test_default_options_do_not_change_the_prompt() -> None:
    assert prompt(DEFAULT_OPTIONS) == build_prompt(after_turns(1), "Be short.", BUDGET)


def test_instructions_come_after_the_assistants_own() -> None:
    assert prompt(ReplyOptions(instructions="Rhyme.")).system == "Be short.\n\nRhyme."


def test_the_prompt_carries_the_options() -> None:
    assert prompt(ReplyOptions(temperature=0.5)).options.temperature == 0.5


def test_options_can_make_the_reply_shorter_but_never_longer() -> None:
    assert prompt(ReplyOptions(reply_tokens=20)).reply_tokens == 20
    assert prompt(ReplyOptions(reply_tokens=5_000)).reply_tokens == 500


def test_tools_leave_less_room_for_messages() -> None:
    long = after_turns(200)

    assert len(prompt(ReplyOptions(tools=(LARGE,)), long).messages) < len(
        prompt(DEFAULT_OPTIONS, long).messages
    )


def test_more_tools_than_fit_still_leave_the_newest_message() -> None:
    assert len(prompt(ReplyOptions(tools=(LARGE, LARGE, LARGE)), after_turns(3)).messages) >= 1


def report(conversation: Conversation, budget: Budget) -> tuple[int, int]:
    counts = prompt_report(
        conversation, build_prompt(conversation, SYSTEM, evolve(budget, rates=WORDS))
    )
    return counts.messages_seen, counts.messages_total


def test_the_report_counts_the_messages_that_the_model_sees() -> None:
    conversation = with_question(after_turns(4), "and now", 5)
    wide, narrow = (Budget(tokens=256 + room, reply_tokens=256) for room in (99, 8))

    assert report(conversation, wide) == (9, 9)
    assert report(conversation, narrow) == (3, 9)
    assert report(tail_of(conversation, 4), narrow) == (3, 9)


def test_a_welcome_is_in_the_prompt_only_if_the_options_say_so() -> None:
    welcome = with_welcome(a_conversation(), MessageId("w"), "Welcome!")
    conversation, budget = with_question(welcome), Budget(tokens=512, reply_tokens=256)
    options = ReplyOptions(starts_with_user=False)
    prompt = build_prompt(conversation, SYSTEM, budget, options=options)

    assert len(build_prompt(conversation, SYSTEM, budget).messages) == 1
    assert len(prompt.messages) == 2
    assert prompt_report(conversation, prompt).messages_total == 2
    assert sees_all(conversation, prompt)


def test_a_prompt_without_room_for_everything_starts_with_a_user() -> None:
    options, budget = ReplyOptions(starts_with_user=False), Budget(tokens=266, reply_tokens=256)
    conversation = with_question(after_turns(4), "and now", 5)
    prompt = build_prompt(conversation, SYSTEM, evolve(budget, rates=WORDS), options=options)

    assert 1 < len(prompt.messages) < 9
    assert prompt.messages[0].role is Role.USER
    assert not sees_all(conversation, prompt)


def test_a_welcome_before_the_first_question_is_not_counted_as_left_out() -> None:
    welcome = with_welcome(a_conversation(), MessageId("w"), "Welcome!")

    assert report(with_question(welcome), Budget(tokens=512, reply_tokens=256)) == (1, 1)


def too_long(options: ReplyOptions) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        require_option_room(options, BUDGET)
    assert raised.value.problem == "context_length_exceeded"
    assert "half" in str(raised.value)
    return raised.value


def test_options_may_take_at_most_half_of_the_context_window() -> None:
    half = "x" * (BUDGET.tokens // 2 * 3 - 3)
    require_option_room(ReplyOptions(instructions=half), BUDGET)

    assert too_long(ReplyOptions(instructions=half + "xxx")).field == "instructions"
    assert too_long(ReplyOptions(response_format=half + "xxx")).field == "response_format"
    assert too_long(ReplyOptions(instructions="x" * 500, tools=(LARGE,))).field == "tools"


def test_there_is_room_only_if_every_message_and_the_reply_fit() -> None:
    question = with_question(a_conversation(), "x" * 3_000)
    require_room(question, SYSTEM, Budget(tokens=1_400, reply_tokens=300))

    for conversation, tokens in (
        (question, 1_300),
        (with_question(after_turns(300), number=301), 1_400),
    ):
        with pytest.raises(InvalidInput) as raised:
            require_room(conversation, SYSTEM, Budget(tokens=tokens, reply_tokens=300))
        assert (raised.value.problem, raised.value.field) == ("context_length_exceeded", "items")


def test_whether_messages_that_are_not_loaded_fit_is_not_known() -> None:
    with pytest.raises(OlderMessagesNeeded):
        require_room(tail_of(after_turns(3), 2), SYSTEM, BUDGET)


def test_only_the_reply_itself_carries_the_report() -> None:
    conversation, left_out = after_turns(1), PromptReport(messages_seen=1, messages_total=2)
    reported = with_prompt_report(conversation, reply_id(1), left_out)

    assert [message.prompt_report for message in reported.messages] == [None, left_out]
    assert with_prompt_report(reported, reply_id(1), left_out) is reported
    assert with_prompt_report(conversation, reply_id(2), left_out) is conversation
    assert with_prompt_report(conversation, reply_id(1), None) is conversation
