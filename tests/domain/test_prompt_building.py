"""Which part of a conversation the model sees."""

from typing import Any

import pytest
from attrs import evolve

from domain.model.budget import Budget
from domain.model.conversation import Conversation, tail_of, with_message, with_welcome
from domain.model.errors import InvalidInput, OlderMessagesNeeded
from domain.model.identifiers import MessageId
from domain.model.message import Message, PromptReport, Role
from domain.model.prompt import DEFAULT_OPTIONS, Prompt, ReplyOptions, Tool
from domain.model.token_rates import CAUTIOUS_RATES
from domain.service.prompt_building import (
    DATA_TOKENS,
    build_prompt,
    prompt_report,
    prompt_tokens,
    require_option_room,
    require_room,
    room_for_messages,
    tool_text,
    with_prompt_report,
)
from tests.support.builders import (
    a_conversation,
    a_message,
    after_turns,
    an_image,
    reply_id,
    texts_of,
    with_answer,
    with_question,
)
from tests.support.token_rates import THIRDS

SYSTEM = "Be brief."
WIDE = Budget(tokens=4_096, reply_tokens=64)


IMAGE_TOKENS = CAUTIOUS_RATES.image_tokens


def seen_texts(conversation: Conversation) -> list[str]:
    return [message.text for message in build_prompt(conversation, SYSTEM, WIDE).messages]


def test_exactly_the_working_memory_is_in_the_prompt() -> None:
    conversation = with_question(after_turns(4), "and now", 5)

    assert seen_texts(conversation) == texts_of(conversation)
    assert seen_texts(evolve(conversation, working_memory_from=7)) == [
        "question 4", "answer 4", "and now"
    ]  # fmt: skip


def test_page_context_counts_once_and_only_with_the_newest_message() -> None:
    earlier = with_answer(with_question(a_conversation(), page_context="one two three four"))
    newer = with_question(earlier, number=2, page_context="five")
    prompt = build_prompt(newer, SYSTEM, WIDE)
    without = build_prompt(with_question(earlier, number=2), SYSTEM, WIDE)
    added = WIDE.rates.of_text("five") + DATA_TOKENS

    assert prompt.page_context == "five"
    assert prompt_tokens(prompt, WIDE.rates) == prompt_tokens(without, WIDE.rates) + added


def test_the_page_context_of_an_earlier_message_is_not_in_the_prompt() -> None:
    earlier = with_answer(with_question(a_conversation(), page_context="{}"))
    with_context = with_question(earlier, number=2, page_context='{"page":2}')

    assert build_prompt(with_question(earlier, number=2), SYSTEM, WIDE).page_context is None
    assert build_prompt(with_context, SYSTEM, WIDE).page_context == '{"page":2}'


def test_the_prompt_carries_system_locale_context_and_summary() -> None:
    conversation = with_question(a_conversation(summary="Short.", locale="fi"), page_context="{}")
    prompt = build_prompt(conversation, SYSTEM, Budget(tokens=4_096, reply_tokens=64))

    assert (prompt.system, prompt.locale, prompt.reply_tokens) == (SYSTEM, "fi", 64)
    assert (prompt.page_context, prompt.summary) == ("{}", "Short.")


@pytest.mark.parametrize(("tokens", "reply"), [(255, 1), (256, 256), (256, 0), (300, 400)])
def test_a_budget_leaves_room_for_question_and_reply(tokens: int, reply: int) -> None:
    with pytest.raises(ValueError, match="tokens"):
        Budget(tokens=tokens, reply_tokens=reply)


def test_the_estimate_of_a_prompt_includes_its_images() -> None:
    conversation = a_conversation(messages=(a_message(1, parts=(an_image(),)),), next_number=2)
    prompt = build_prompt(conversation, "", Budget(tokens=4_000, reply_tokens=256))

    assert prompt_tokens(prompt, CAUTIOUS_RATES) > IMAGE_TOKENS


def instruction(number: int, text: str = "Rhyme now.") -> Message:
    return a_message(number, text, role=Role.SYSTEM, turn=0)


def with_instruction(conversation: Conversation, text: str = "Rhyme now.") -> Conversation:
    return with_message(conversation, instruction(conversation.next_number, text))


def instructed_prompt(
    working_memory_from: int = 1, options: ReplyOptions = DEFAULT_OPTIONS
) -> Prompt:
    """The prompt after an instruction, two turns, an instruction and an open turn."""
    first = with_answer(with_question(with_instruction(a_conversation()), "one two"), "three four")
    second = with_answer(with_question(first, "five six", 2), "seven eight", 2)
    conversation = with_question(with_instruction(second, "Stop rhyming."), "and now", 3)
    shorter = evolve(conversation, working_memory_from=working_memory_from)
    return build_prompt(shorter, SYSTEM, WIDE, options=options)


def test_instructions_before_the_first_message_follow_the_system_prompt() -> None:
    prompt = instructed_prompt(options=ReplyOptions(instructions="In French."))

    assert prompt.system == "Be brief.\n\nRhyme now.\n\nIn French."


def test_later_instructions_stay_at_their_place() -> None:
    texts = [message.text for message in instructed_prompt().messages]

    assert texts == [
        "one two", "three four", "five six", "seven eight", "Stop rhyming.", "and now"
    ]  # fmt: skip


def test_instructions_never_fall_out_of_the_prompt() -> None:
    prompt = instructed_prompt(7)

    assert prompt.system == "Be brief.\n\nRhyme now.\n\nStop rhyming."
    assert [message.text for message in prompt.messages] == ["and now"]


BUDGET = Budget(tokens=2_000, reply_tokens=500, rates=THIRDS)
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


def test_what_is_always_in_the_prompt_leaves_less_room() -> None:
    def room(options: ReplyOptions = DEFAULT_OPTIONS, **members: Any) -> int:
        conversation = evolve(after_turns(1), **members)
        return room_for_messages(conversation, SYSTEM, BUDGET, options).usual

    assert room(ReplyOptions(tools=(LARGE,))) == room() - BUDGET.rates.of_text(tool_text(LARGE))
    assert room(ReplyOptions(response_format="x" * 30)) < room()
    assert room(ReplyOptions(instructions="x" * 30)) < room()
    asked = [a_message(page_context=context) for context in (None, "{}")]
    assert room(messages=(asked[1],)) < room(messages=(asked[0],))
    assert room(messages=tuple(reversed(asked))) == room(messages=(asked[0],))
    assert room(summary="x") < room()
    assert room(messages=with_instruction(after_turns(1)).messages) < room()
    assert room(ReplyOptions(reply_tokens=400)) == room() + 100


def test_the_reply_gets_less_when_the_prompt_is_long() -> None:
    long = with_question(a_conversation(), "x" * 4_900)
    prompt = build_prompt(long, SYSTEM, BUDGET)

    assert 125 < prompt.reply_tokens < 500
    assert prompt_tokens(prompt, BUDGET.rates) + prompt.reply_tokens == BUDGET.tokens
    assert (
        build_prompt(with_question(a_conversation(), "x" * 9_000), SYSTEM, BUDGET).reply_tokens
        == 125
    )


def report(conversation: Conversation) -> tuple[int, int]:
    counts = prompt_report(conversation, build_prompt(conversation, SYSTEM, WIDE))
    return counts.messages_seen, counts.messages_total


def test_the_report_counts_the_messages_that_the_model_sees() -> None:
    conversation = with_question(after_turns(4), "and now", 5)
    forgetful = evolve(conversation, working_memory_from=7)

    assert report(conversation) == (9, 9)
    assert report(forgetful) == (3, 9)
    assert report(tail_of(forgetful, 4)) == (3, 9)


def test_a_welcome_is_in_the_prompt_only_if_the_options_say_so() -> None:
    welcome = with_welcome(a_conversation(), MessageId("w"), "Welcome!")
    conversation = with_question(welcome)
    options = ReplyOptions(starts_with_user=False)
    prompt = build_prompt(conversation, SYSTEM, WIDE, options=options)

    assert len(build_prompt(conversation, SYSTEM, WIDE).messages) == 1
    assert len(prompt.messages) == 2
    assert prompt_report(conversation, prompt).messages_total == 2


def test_a_prompt_after_forgetting_starts_with_a_user() -> None:
    conversation = evolve(with_question(after_turns(4), "and now", 5), working_memory_from=6)
    prompt = build_prompt(conversation, SYSTEM, WIDE, options=ReplyOptions(starts_with_user=False))

    assert [message.number for message in prompt.messages] == [7, 8, 9]


def test_a_welcome_before_the_first_question_is_not_counted_as_left_out() -> None:
    welcome = with_welcome(a_conversation(), MessageId("w"), "Welcome!")

    assert report(with_question(welcome)) == (1, 1)


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
    require_room(question, SYSTEM, Budget(tokens=1_400, reply_tokens=300, rates=THIRDS))

    for conversation, tokens in (
        (question, 1_300),
        (with_question(after_turns(300), number=301), 1_400),
    ):
        budget = Budget(tokens=tokens, reply_tokens=300, rates=THIRDS)
        with pytest.raises(InvalidInput) as raised:
            require_room(conversation, SYSTEM, budget)
        assert (raised.value.problem, raised.value.field) == ("context_length_exceeded", "items")


def test_a_conversation_that_has_forgotten_messages_does_not_fit() -> None:
    forgetful = evolve(with_question(after_turns(4), "and now", 5), working_memory_from=7)

    with pytest.raises(InvalidInput):
        require_room(forgetful, SYSTEM, WIDE)


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
