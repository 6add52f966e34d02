"""Which system prompt a conversation begins with."""

import json
from typing import Any

import pytest

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation
from domain.model.message import FinishReason, Role, TextPart
from domain.model.named_prompt import Condition, NamedPrompt
from domain.model.piece import TextPiece
from domain.service.item_editing import NewItem, append_items, open_turn_with_items
from domain.service.prompt_choice import with_prompt
from domain.service.regeneration import edit_message, regenerate
from domain.service.reply_continuation import continue_reply
from domain.service.turn_lifecycle import fail, interrupt
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    question_id,
    reply_id,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON


def a_prompt(name: str, *conditions: Condition) -> NamedPrompt:
    return NamedPrompt(name=name, system_prompt=f"You are {name}.", conditions=conditions)


def on_page(value: Any, *path: str) -> Condition:
    return Condition(context="page_context", path=path or ("page",), value=value)


TAXES = a_prompt("taxes", Condition(context="metadata", path=("topic",), value="tax"))
COMPARING = a_prompt("comparing", on_page("/compare*"))
PROMPTS = (TAXES, COMPARING)
ASSISTANT = Assistant(system_prompt="Be kind.", welcomes={"en": "Hello!"}, prompts=PROMPTS)


def opened_on(page: Any, conversation: Conversation | None = None, number: int = 1) -> Conversation:
    """The conversation with a new turn whose message was sent from this page."""
    context = json.dumps({"page": page})
    base = a_conversation() if conversation is None else conversation
    return with_prompt(with_question(base, number=number, page_context=context), PROMPTS)


def is_chosen(condition: Condition, context: Any) -> bool:
    opened = with_question(a_conversation(), page_context=json.dumps(context))
    return with_prompt(opened, [a_prompt("a", condition)]).prompt_name == "a"


def test_the_first_prompt_whose_conditions_hold_is_chosen() -> None:
    about_taxes = a_conversation(metadata={"topic": "tax"})

    assert opened_on("/compare/1").prompt_name == "comparing"
    assert opened_on("/start").prompt_name is None
    assert opened_on("/compare/1", about_taxes).prompt_name == "taxes"
    assert with_prompt(with_question(about_taxes), PROMPTS).prompt_name == "taxes"


def test_the_conversation_gets_the_text_of_its_prompt() -> None:
    chosen = opened_on("/compare/1")
    removed = a_conversation(prompt_name="removed")

    assert ASSISTANT.system_prompt_for(chosen) == "You are comparing."
    assert ASSISTANT.system_prompt_for(opened_on("/start")) == "Be kind."
    assert ASSISTANT.system_prompt_for(removed) == "Be kind."


def test_all_conditions_must_hold() -> None:
    both = a_prompt("both", *TAXES.conditions, *COMPARING.conditions)
    about_taxes = a_conversation(metadata={"topic": "tax"})

    def chosen(conversation: Conversation, page: str) -> str | None:
        opened = with_question(conversation, page_context=json.dumps({"page": page}))
        return with_prompt(opened, [both]).prompt_name

    assert chosen(about_taxes, "/compare") == "both"
    assert chosen(about_taxes, "/start") is None
    assert chosen(a_conversation(), "/compare") is None


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/a", ["/a"], ["/A", "/a/", "", "x/a"]),
        ("*", ["", "/a", "a\nb"], []),
        ("/a*", ["/a", "/ab"], ["b/a"]),
        ("*a", ["a", "/a"], ["ab"]),
        ("a*a", ["aa", "aba"], ["a", "ab"]),
        ("*a*b*", ["ab", "xaxbx", "aab"], ["ba", "b"]),
        ("a*b*c", ["abc", "axbxbxc"], ["acb", "ac"]),
        ("a.b?[c]", ["a.b?[c]"], ["axb?[c]", "a.b"]),
        ("ab*ba*ab", ["abbaab"], ["abab", "ababab"]),
    ],
)
def test_a_star_stands_for_any_number_of_characters(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    found = {text: is_chosen(on_page(pattern), {"page": text}) for text in (*matching, *others)}

    assert found == {**dict.fromkeys(matching, True), **dict.fromkeys(others, False)}


def test_numbers_and_truth_values_must_be_equal() -> None:
    signed_in = on_page(True, "user", "signed_in")

    assert is_chosen(signed_in, {"user": {"signed_in": True}})
    assert not is_chosen(signed_in, {"user": {"signed_in": 1}})
    assert not is_chosen(signed_in, {"user": {"signed_in": "true"}})
    assert is_chosen(on_page(17, "age"), {"age": 17.0})
    assert not is_chosen(on_page(1, "age"), {"age": True})
    assert not is_chosen(on_page("17", "age"), {"age": 17})


@pytest.mark.parametrize("context", [{}, {"user": None}, {"user": ["page"]}, [], "page", None])
def test_a_value_that_is_not_there_is_not_equal(context: Any) -> None:
    assert not is_chosen(on_page("*", "user", "page"), context)


def test_without_a_page_context_no_condition_on_it_holds() -> None:
    opened = with_question(a_conversation())

    assert with_prompt(opened, [COMPARING]).prompt_name is None


def test_a_later_page_does_not_change_the_prompt() -> None:
    conversation = with_answer(opened_on("/compare"))

    assert opened_on("/start", conversation, 2).prompt_name == "comparing"
    assert opened_on("/compare", with_answer(opened_on("/start")), 2).prompt_name is None


def test_repeating_the_first_message_chooses_again() -> None:
    conversation = with_answer(opened_on("/compare"))
    text = (TextPart("No."),)
    edited = edit_message(conversation, a_new_turn(2), question_id(1), text, page_context="{}")
    again = regenerate(conversation, a_new_turn(2))

    assert with_prompt(edited, PROMPTS).prompt_name is None
    assert with_prompt(again, PROMPTS).prompt_name == "comparing"
    assert with_prompt(again, [TAXES]).prompt_name is None


def test_repeating_a_later_message_chooses_nothing() -> None:
    conversation = with_answer(opened_on("/compare"))
    longer = with_answer(with_question(conversation, number=2), number=2)

    assert with_prompt(regenerate(longer, a_new_turn(3)), ()).prompt_name == "comparing"
    repeated = regenerate(longer, a_new_turn(3), reply_id(1))
    assert with_prompt(repeated, ()).prompt_name is None


def test_a_first_message_without_a_reply_is_sent_again() -> None:
    failed = fail(opened_on("/compare"), turn_id(), (), NOON, "model_failed")

    assert opened_on("/start", failed, 2).prompt_name is None


def test_the_first_reply_is_continued_with_its_prompt() -> None:
    cut = interrupt(opened_on("/compare"), turn_id(), [TextPiece("Onc")], NOON)

    assert with_prompt(continue_reply(cut, a_new_turn(2)), ()).prompt_name == "comparing"


def test_a_conversation_that_continues_another_keeps_its_prompt() -> None:
    copied = a_conversation(prompt_name="comparing")
    summarized = a_conversation(carried_summary="Taxes.", prompt_name="comparing")
    failed = fail(with_question(summarized), turn_id(), (), NOON, "model_failed")

    assert opened_on("/start", copied).prompt_name == "comparing"
    assert opened_on("/start", failed, 2).prompt_name == "comparing"


def test_items_before_the_first_turn_do_not_matter() -> None:
    def item(role: Role, text: str) -> NewItem:
        return NewItem(id=question_id(len(text)), role=role, parts=(TextPart(text),))

    about_taxes = a_conversation(metadata={"topic": "tax"})
    items = [item(Role.USER, "a"), item(Role.ASSISTANT, "ab"), item(Role.DEVELOPER, "abc")]
    longer = append_items(about_taxes, items, NOON)
    opened = open_turn_with_items(longer, a_new_turn(), [item(Role.USER, "abcd")])

    assert with_prompt(opened, PROMPTS).prompt_name == "taxes"


def test_a_conversation_without_an_open_turn_has_no_choice() -> None:
    conversation = with_answer(with_question(a_conversation(metadata={"topic": "tax"})))

    assert conversation.turn is not None
    assert conversation.messages[-1].finish_reason is FinishReason.STOP
    assert with_prompt(conversation, PROMPTS) is conversation
