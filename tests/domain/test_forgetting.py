"""Which messages leave the working memory, and when."""

from typing import Any

import pytest
from attrs import evolve

from domain.model.budget import Budget
from domain.model.conversation import Conversation, tail_of, with_welcome
from domain.model.errors import InvalidInput, NothingToContinue, OlderMessagesNeeded
from domain.model.identifiers import MessageId
from domain.model.message import Message, Role, TextPart, ToolCallPart, ToolResultPart
from domain.model.piece import TextPiece
from domain.model.prompt import CONTINUE_INSTRUCTION, ReplyOptions
from domain.service.forgetting import FOLD_AT, KEEP, fitted, step
from domain.service.prompt_building import build_prompt, prompt_tokens, room_for_messages
from domain.service.reply_continuation import continue_reply
from domain.service.turn_lifecycle import interrupt
from tests.support.builders import (
    a_conversation,
    a_message,
    a_new_turn,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON
from tests.support.token_rates import BYTES

SYSTEM = "Be brief."
REPLY = 400
LEAST_REPLY = 100


def a_budget(room: int, reply: int = REPLY, **of_conversation: Any) -> Budget:
    """A budget with exactly ``room`` tokens for messages, one for each byte."""
    wide = Budget(tokens=100_000, reply_tokens=reply, rates=BYTES)
    empty = a_conversation(**of_conversation)
    taken = wide.tokens - room_for_messages(empty, SYSTEM, wide, ReplyOptions()).usual
    return evolve(wide, tokens=taken + room)


def exchanges(*sizes: int, **members: Any) -> Conversation:
    """A conversation with an exchange for each size; the last one waits for its reply."""
    conversation = a_conversation(**members)
    for number, size in enumerate(sizes, 1):
        answer = size // 2 if number < len(sizes) else 0
        conversation = with_question(conversation, "q" * (size - answer), number)
        if answer:
            conversation = with_answer(conversation, "a" * answer, number)
    return conversation


def first_seen(conversation: Conversation, room: int, **members: Any) -> int:
    return fitted(conversation, SYSTEM, a_budget(room, **members)).working_memory_from


def test_nothing_leaves_while_everything_fits() -> None:
    conversation = exchanges(100, 100, 100)

    assert fitted(conversation, SYSTEM, a_budget(300)) is conversation


def test_whole_exchanges_leave_down_to_the_part_that_is_kept() -> None:
    conversation = exchanges(100, 100, 100, 100)

    # 400 do not fit 399. At most 159 stay: the newest exchange has 100, the one before it too.
    assert first_seen(conversation, 399) == 7
    assert first_seen(conversation, 500) == 1
    assert KEEP == 0.4


def test_the_newest_exchange_stays_even_if_it_takes_more_than_the_part_that_is_kept() -> None:
    assert first_seen(exchanges(100, 300), 390) == 3


def test_the_welcome_leaves_with_the_first_exchange() -> None:
    welcome = with_welcome(a_conversation(), MessageId("w"), "Welcome!" * 10)
    conversation = with_question(with_answer(with_question(welcome)), "q" * 300, 2)

    assert first_seen(conversation, 320) == 4


def test_a_tool_call_never_leaves_without_its_result() -> None:
    call = ToolCallPart(call_id="c", name="look", arguments="x" * 100)
    result = ToolResultPart(call_id="c", output="y" * 100)
    messages = (
        a_message(1, "q" * 50),
        a_message(2, role=Role.ASSISTANT, parts=(call, result)),
        a_message(3, "q" * 100, turn=2),
    )
    conversation = a_conversation(messages=messages, next_number=4)

    assert first_seen(conversation, 340) == 3


def test_the_reply_gives_up_room_for_a_long_newest_message() -> None:
    conversation, budget = exchanges(100, 110), a_budget(100)
    prompt = build_prompt(fitted(conversation, SYSTEM, budget), SYSTEM, budget)

    assert prompt.reply_tokens == REPLY - 10
    assert prompt_tokens(prompt, BYTES) + prompt.reply_tokens == budget.tokens


def test_a_newest_message_without_room_is_refused() -> None:
    most = 100 + REPLY - LEAST_REPLY
    fitted(exchanges(100, most), SYSTEM, a_budget(100))

    with pytest.raises(InvalidInput, match="room for about 400 tokens") as raised:
        fitted(exchanges(100, most + 1), SYSTEM, a_budget(100))
    assert (raised.value.problem, raised.value.field) == ("message_too_long", "message")


def test_tool_results_without_room_are_refused() -> None:
    parts = (
        ToolCallPart(call_id="c", name="look", arguments="{}"),
        ToolResultPart(call_id="c", output="y" * 500),
    )
    messages = (a_message(1, "q" * 50), a_message(2, role=Role.ASSISTANT, parts=parts))
    conversation = a_conversation(messages=messages, next_number=3)

    with pytest.raises(InvalidInput) as raised:
        fitted(conversation, SYSTEM, a_budget(200))
    assert (raised.value.problem, raised.value.field) == ("tool_result_too_long", "output")


def test_summary_and_instructions_take_room() -> None:
    conversation = exchanges(100, 100, 100)
    rule = Message(
        id=MessageId("rule"),
        number=6,
        turn=0,
        role=Role.SYSTEM,
        parts=(TextPart("Rhyme."),),
        created_at=NOON,
    )

    assert first_seen(conversation, 300) == 1
    assert first_seen(evolve(conversation, summary="s" * 100), 300) > 1
    with_rule = evolve(conversation, messages=(*conversation.messages, rule))
    assert first_seen(with_rule, 300) > 1
    assert first_seen(evolve(conversation, summary="s" * 100), 300, summary="s" * 100) == 1


def test_messages_that_are_not_loaded_are_needed_unless_the_loaded_ones_are_too_many() -> None:
    tail = tail_of(exchanges(100, 100, 100, 100), 3)

    with pytest.raises(OlderMessagesNeeded):
        fitted(tail, SYSTEM, a_budget(1_000))
    assert first_seen(tail, 150) == 7


def test_instructions_that_are_not_loaded_are_needed() -> None:
    tail = evolve(tail_of(exchanges(100, 100, 100), 3), instructions_from=1)

    with pytest.raises(OlderMessagesNeeded):
        fitted(tail, SYSTEM, a_budget(150))


def test_a_step_is_due_above_three_quarters_of_the_room() -> None:
    conversation = with_answer(exchanges(100, 100, 100, 50), "a" * 50, 4)

    assert FOLD_AT == 0.75
    assert step(conversation, SYSTEM, a_budget(534)) is None
    # At most 212 stay: two exchanges.
    assert step(conversation, SYSTEM, a_budget(532)) == 5


def test_a_step_never_takes_the_newest_exchange() -> None:
    conversation = with_answer(exchanges(100), "a" * 100)

    assert step(conversation, SYSTEM, a_budget(100)) is None


def test_a_reply_that_leaves_no_room_cannot_be_continued() -> None:
    question = exchanges(100)
    cut = interrupt(question, turn_id(), [TextPiece("a" * 300)], NOON)
    opened = continue_reply(cut, a_new_turn(2))
    closing = len(CONTINUE_INSTRUCTION)
    at_least = 400 + closing - (REPLY - LEAST_REPLY)

    assert fitted(opened, SYSTEM, a_budget(at_least)).open_turn
    with pytest.raises(NothingToContinue):
        fitted(opened, SYSTEM, a_budget(at_least - 1))
