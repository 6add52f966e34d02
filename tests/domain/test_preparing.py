"""The question to a hook, and what its answer changes."""

from typing import Any

import pytest
from attrs import evolve

from domain.model.budget import Budget
from domain.model.conversation import Conversation, with_message
from domain.model.limits import MAX_EXCERPT_CHARACTERS
from domain.model.message import (
    FinishReason,
    Message,
    Role,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import SourcePiece, StatePiece, TextPiece, ToolCallPiece
from domain.model.preparation import Preparation, Question, TurnKind, Utterance
from domain.model.prompt import Passage, ReplyOptions, Tool, passages_text
from domain.service.item_editing import NewItem, append_items, open_turn_with_items
from domain.service.preparing import (
    has_room,
    opening_pieces,
    question_of,
    turn_kind,
    with_passages_that_fit,
    with_preparation,
)
from domain.service.prompt_building import build_prompt, prompt_tokens
from domain.service.regeneration import edit_message, regenerate
from domain.service.reply_continuation import continue_reply
from domain.service.token_learning import prompt_size
from domain.service.tool_answers import submit_tool_results
from domain.service.turn_lifecycle import fail, finish
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    after_turns,
    an_image,
    question_id,
    reply_id,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON

SYSTEM = "Be brief."
PASSAGES = tuple(
    Passage(
        title=f"Title {number}", text=f"Text {number}. " * 20, url=f"https://x.example/{number}"
    )
    for number in (1, 2, 3)
)
WIDE = Budget(tokens=4_096, reply_tokens=64)


def question_in(conversation: Conversation, messages: int = 0) -> Question:
    turn = conversation.open_turn
    assert turn is not None
    return question_of(conversation, turn, pseudonym="ab", messages=messages)


def kind_in(conversation: Conversation) -> TurnKind:
    turn = conversation.open_turn
    assert turn is not None
    return turn_kind(conversation, turn)


def prepared(conversation: Conversation, own: ReplyOptions, **members: Any) -> ReplyOptions:
    return with_preparation(conversation, own, Preparation(**members))


# The question


def test_the_hook_gets_the_newest_message_and_nothing_of_the_others() -> None:
    conversation = with_question(after_turns(2), "And now?", 3, page_context='{"page":1}')
    conversation = evolve(conversation, summary="Short.", locale="fi", hook_state="[1]")

    assert question_in(conversation) == Question(
        turn_id=turn_id(3),
        conversation="ab",
        turn=3,
        kind=TurnKind.MESSAGE,
        locale="fi",
        message="And now?",
        page_context='{"page":1}',
        summary="Short.",
        state="[1]",
    )


def test_it_gets_as_many_earlier_messages_as_the_operator_has_set() -> None:
    conversation = with_question(after_turns(2), "And now?", 3)

    assert question_in(conversation, 3).earlier == (
        Utterance(role=Role.ASSISTANT, text="answer 1"),
        Utterance(role=Role.USER, text="question 2"),
        Utterance(role=Role.ASSISTANT, text="answer 2"),
    )
    assert len(question_in(conversation, 100).earlier) == 4


def test_earlier_messages_precede_the_message_whose_reply_is_continued() -> None:
    conversation = with_question(after_turns(1), "More?", 2)
    conversation = finish(
        conversation, turn_id(2), [TextPiece("Well,")], NOON, reason=FinishReason.LENGTH
    )
    continued = continue_reply(conversation, a_new_turn(3))

    question = question_in(continued, 2)
    assert (question.message, question.kind) == ("More?", TurnKind.CONTINUE)
    assert [utterance.text for utterance in question.earlier] == ["question 1", "answer 1"]


def test_instructions_and_messages_without_words_are_not_among_the_earlier_ones() -> None:
    conversation = a_conversation()
    for role, parts in (
        (Role.USER, (TextPart("Look"), an_image())),
        (Role.SYSTEM, (TextPart("Be kind."),)),
        (Role.ASSISTANT, (ToolCallPart(call_id="c", name="look", arguments="{}"),)),
    ):
        number = conversation.next_number
        message = Message(
            id=question_id(number), number=number, turn=0, role=role, parts=parts, created_at=NOON
        )
        conversation = with_message(conversation, message)

    question = question_in(with_question(conversation, number=9), 10)
    assert question.earlier == (Utterance(role=Role.USER, text="Look"),)


def test_images_are_counted() -> None:
    conversation = with_question(a_conversation())
    [message] = conversation.messages
    message = evolve(message, parts=(*message.parts, an_image(), an_image(200)))

    assert question_in(evolve(conversation, messages=(message,))).images == 2


def test_a_turn_for_another_reply_is_told_from_one_for_a_new_message() -> None:
    again = regenerate(after_turns(2), a_new_turn(3))
    edited = edit_message(after_turns(2), a_new_turn(3), question_id(2), (TextPart("Other"),))
    repeated = fail(with_question(a_conversation()), turn_id(), (), NOON, "model_failed")

    assert kind_in(again) is TurnKind.REGENERATE
    assert kind_in(edited) is TurnKind.MESSAGE
    assert kind_in(with_question(repeated, number=2)) is TurnKind.MESSAGE
    assert kind_in(regenerate(repeated, a_new_turn(2))) is TurnKind.REGENERATE


def test_items_that_were_added_before_the_turn_are_new_too() -> None:
    item = NewItem(id=question_id(), role=Role.USER, parts=(TextPart("Hello?"),))
    conversation = append_items(a_conversation(), [item], NOON)

    assert kind_in(open_turn_with_items(conversation, a_new_turn(), [])) is TurnKind.MESSAGE


def test_results_of_tools_are_told_whether_they_continue_a_message_or_are_items() -> None:
    call = ToolCallPiece(call_id="c", name="look", arguments="{}")
    waiting = finish(
        with_question(a_conversation()), turn_id(), [call], NOON, reason=FinishReason.TOOL_CALLS
    )
    result = ToolResultPart(call_id="c", output="1")
    item = NewItem(id=reply_id(9), role=Role.ASSISTANT, parts=(result,))

    continued = submit_tool_results(waiting, a_new_turn(2), [result])
    assert kind_in(continued) is TurnKind.TOOL_RESULTS
    assert kind_in(open_turn_with_items(waiting, a_new_turn(2), [item])) is TurnKind.TOOL_RESULTS


# The options


def test_the_callers_options_win() -> None:
    own = ReplyOptions(temperature=0.0, stop=("a",), reply_tokens=50)
    of_hook = ReplyOptions(temperature=1.0, top_p=0.5, stop=("b",), reply_tokens=80, effort="low")
    options = prepared(with_question(a_conversation()), own, options=of_hook)

    assert options == evolve(own, top_p=0.5, effort="low")


@pytest.mark.parametrize(("own", "of_hook"), [(50, 80), (80, 50), (None, 50), (50, None)])
def test_the_reply_has_the_smaller_bound(own: int | None, of_hook: int | None) -> None:
    options = prepared(
        with_question(a_conversation()),
        ReplyOptions(reply_tokens=own),
        options=ReplyOptions(reply_tokens=of_hook),
    )

    assert options.reply_tokens == 50


def test_the_hooks_instructions_end_the_system_prompt() -> None:
    conversation = with_question(a_conversation())
    options = prepared(conversation, ReplyOptions(instructions="Rhyme."), instructions="Be kind.")

    assert build_prompt(conversation, SYSTEM, WIDE, options=options).system == (
        "Be brief.\n\nRhyme.\n\nBe kind."
    )


def test_tools_of_the_hook_follow_those_of_the_caller_who_may_replace_them() -> None:
    conversation = with_question(a_conversation())
    own, other = Tool(name="a", parameters="{}"), Tool(name="b", parameters="{}")
    of_hook = (evolve(own, description="The hook's."), other)

    assert prepared(conversation, ReplyOptions(tools=(own,)), tools=of_hook).tools == (own, other)
    without = ReplyOptions(tools=(own,), client_tools=False)
    assert prepared(conversation, without, tools=of_hook).tools == (own,)


# Passages and sources


def test_the_passages_are_part_of_the_prompts_size() -> None:
    conversation = with_question(a_conversation())
    options = prepared(conversation, ReplyOptions(), passages=PASSAGES)
    prompt = build_prompt(conversation, SYSTEM, WIDE, options=options)
    without = build_prompt(conversation, SYSTEM, WIDE)
    text = passages_text(options.passages)
    assert text is not None
    added = prompt_tokens(prompt, WIDE.rates) - prompt_tokens(without, WIDE.rates)

    size, smaller = prompt_size(prompt), prompt_size(without)
    assert size is not None
    assert smaller is not None
    assert added > WIDE.rates.of_text(text)
    assert sum(size.characters) - sum(smaller.characters) == len(text)


def test_passages_are_numbered_and_become_sources() -> None:
    conversation = with_question(a_conversation())
    long = Passage(title="Long", text="é" * 5_000)
    preparation = Preparation(passages=(PASSAGES[0], long))
    options = with_preparation(conversation, ReplyOptions(), preparation)

    assert [passage.number for passage in options.passages] == [1, 2]
    assert opening_pieces(conversation, preparation, options.passages) == (
        SourcePiece(
            SourcePart(
                id="s1", title="Title 1", url="https://x.example/1", excerpt=PASSAGES[0].text
            )
        ),
        SourcePiece(SourcePart(id="s2", title="Long", excerpt="é" * MAX_EXCERPT_CHARACTERS)),
    )


def test_sources_of_a_continued_reply_keep_their_numbers() -> None:
    conversation = with_question(a_conversation())
    first = Preparation(passages=PASSAGES[:2])
    options = with_preparation(conversation, ReplyOptions(), first)
    opening = opening_pieces(conversation, first, options.passages)
    call = ToolCallPiece(call_id="c", name="look", arguments="{}")
    waiting = finish(
        conversation, turn_id(), [*opening, call], NOON, reason=FinishReason.TOOL_CALLS
    )
    continued = submit_tool_results(
        waiting, a_new_turn(2), [ToolResultPart(call_id="c", output="1")]
    )

    second = Preparation(passages=(PASSAGES[2], PASSAGES[1]))
    options = with_preparation(continued, ReplyOptions(), second)
    assert [passage.number for passage in options.passages] == [3, 2]
    [piece] = opening_pieces(continued, second, options.passages)
    assert isinstance(piece, SourcePiece)
    assert (piece.source.id, piece.source.title) == ("s3", "Title 3")


def test_only_a_state_that_changes_is_written() -> None:
    conversation = evolve(with_question(a_conversation()), hook_state="1")

    def opening(**members: Any) -> tuple[object, ...]:
        return tuple(opening_pieces(conversation, Preparation(**members), ()))

    assert opening() == ()
    assert opening(changes_state=True, state="1") == ()
    assert opening(changes_state=True, state="2") == (StatePiece("2"),)
    assert opening(changes_state=True, state=None) == (StatePiece(None),)


def budget_for(conversation: Conversation, options: ReplyOptions) -> Budget:
    """One in which the prompt has just enough room."""
    prompt = build_prompt(conversation, SYSTEM, WIDE, options=options)
    return Budget(tokens=prompt_tokens(prompt, WIDE.rates) + 64, reply_tokens=64)


def test_passages_that_do_not_fit_are_left_out_from_the_last() -> None:
    conversation = with_question(with_answer(with_question(a_conversation())), "And now?", 2)
    options = prepared(conversation, ReplyOptions(), passages=PASSAGES)
    newest = evolve(conversation, working_memory_from=3)
    two = evolve(options, passages=options.passages[:2])
    budget = budget_for(newest, two)

    assert with_passages_that_fit(conversation, SYSTEM, budget, options) == two
    assert with_passages_that_fit(conversation, SYSTEM, budget, two) is two


def test_passages_are_left_out_before_messages_if_the_caller_wants_all_messages() -> None:
    conversation = with_question(
        with_answer(with_question(a_conversation(), "word " * 200)), "And now?", 2
    )
    options = prepared(conversation, ReplyOptions(may_truncate=False), passages=PASSAGES)
    budget = budget_for(conversation, evolve(options, passages=options.passages[:1]))

    fitting = with_passages_that_fit(conversation, SYSTEM, budget, options)
    assert fitting.passages == options.passages[:1]
    assert has_room(conversation, SYSTEM, budget, fitting)
