"""A prompt that heeds what the caller wishes."""

from domain.model.conversation import Conversation
from domain.model.prompt import NO_WISHES, Prompt, Tool, Wishes
from domain.service.prompt_building import Budget, build_prompt, wished_prompt
from tests.builders import after_turns

BUDGET = Budget(tokens=2_000, reply_tokens=500)
LARGE = Tool(name="look", parameters='{"type":"object"}', description="x" * 3_000)


def prompt(wishes: Wishes, known: Conversation | None = None) -> Prompt:
    return wished_prompt(known or after_turns(1), "Be short.", BUDGET, wishes)


def test_without_wishes_the_prompt_is_the_assistants_own() -> None:
    assert prompt(NO_WISHES) == build_prompt(after_turns(1), "Be short.", BUDGET)


def test_instructions_come_after_the_assistants_own() -> None:
    assert prompt(Wishes(instructions="Rhyme.")).system == "Be short.\n\nRhyme."


def test_what_is_wished_besides_goes_along() -> None:
    assert prompt(Wishes(temperature=0.5)).wishes.temperature == 0.5


def test_a_reply_may_be_wished_shorter_but_never_longer() -> None:
    assert prompt(Wishes(reply_tokens=20)).reply_tokens == 20
    assert prompt(Wishes(reply_tokens=5_000)).reply_tokens == 500


def test_tools_take_from_the_room_of_what_was_said() -> None:
    long = after_turns(200)

    assert len(prompt(Wishes(tools=(LARGE,)), long).messages) < len(
        prompt(NO_WISHES, long).messages
    )


def test_more_tools_than_fit_still_leave_the_newest_message() -> None:
    assert len(prompt(Wishes(tools=(LARGE, LARGE, LARGE)), after_turns(3)).messages) >= 1
