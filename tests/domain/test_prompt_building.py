"""Which part of a conversation the model sees."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.conversation import Conversation, tail_of
from domain.model.message import Role
from domain.model.prompt import DEFAULT_OPTIONS, Prompt, ReplyOptions, Tool
from domain.service.prompt_building import (
    Budget,
    build_prompt,
    estimated_tokens,
    sees_all,
)
from tests.support.builders import a_conversation, after_turns, with_question

SYSTEM = "Be brief."


def words(text: str) -> int:
    return len(text.split())


def seen(budget: int, turns: int = 4, **members: Any) -> list[str]:
    """The texts in a prompt of at most ``budget`` words beside the reply's 100."""
    conversation = evolve(with_question(after_turns(turns), "and now", turns + 1), **members)
    room = Budget(tokens=budget + 256, reply_tokens=256)
    return [message.text for message in build_prompt(conversation, SYSTEM, room, words).messages]


def test_all_is_seen_when_it_fits() -> None:
    assert len(seen(20)) == 9


def test_the_newest_that_fit_are_seen_beginning_with_a_users() -> None:
    # Two words each, two for the system prompt: three messages fit, one of them a reply's end.
    assert seen(8) == ["question 4", "answer 4", "and now"]
    assert seen(7) == ["and now"]


def test_the_newest_is_seen_even_when_it_does_not_fit() -> None:
    assert seen(1) == ["and now"]


def test_page_context_and_summary_take_their_room() -> None:
    assert seen(8, page_context="one two", summary="three four") == ["and now"]


def test_forgotten_messages_are_not_seen() -> None:
    assert seen(99, working_memory_from=7) == ["question 4", "answer 4", "and now"]


def test_the_prompt_carries_system_locale_context_and_summary() -> None:
    conversation = evolve(
        with_question(a_conversation()), page_context="{}", summary="Short.", locale="fi"
    )
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
    texts_seen = seen(budget, turns)
    conversation = with_question(after_turns(turns), "and now", turns + 1)
    texts = [message.text for message in conversation.messages]

    assert texts_seen == texts[-len(texts_seen) :]
    assert conversation.messages[-len(texts_seen)].role is Role.USER
    assert len(texts_seen) == 1 or words(SYSTEM) + sum(map(words, texts_seen)) <= budget


def test_a_prompt_tells_whether_it_had_room_for_every_loaded_message() -> None:
    tail = tail_of(with_question(after_turns(4), "and now", 5), 4)
    wide, narrow = (Budget(tokens=256 + room, reply_tokens=256) for room in (99, 3))

    assert tail.messages[0].role is Role.ASSISTANT
    assert sees_all(tail, build_prompt(tail, SYSTEM, wide, words))
    assert not sees_all(tail, build_prompt(tail, SYSTEM, narrow, words))


def test_tokens_are_estimated_with_caution() -> None:
    assert estimated_tokens("") == 1
    assert estimated_tokens("abcdef") == 3
    assert estimated_tokens("مرحبا") >= 4


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
