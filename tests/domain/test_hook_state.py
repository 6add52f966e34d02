"""The hook's state: what changes it, and that a repeated turn begins with the same one."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.conversation import Conversation
from domain.model.errors import DomainError
from domain.model.identifiers import MessageId
from domain.model.message import FinishReason, Role, TextPart, ToolResultPart
from domain.model.piece import Piece, StatePiece, TextPiece, ToolCallPiece
from domain.service.item_editing import branch_at_turn, without_turn
from domain.service.regeneration import edit_message, regenerate
from domain.service.reply_continuation import continue_reply
from domain.service.tool_answers import submit_tool_results
from domain.service.turn_lifecycle import add_user_message, fail, finish, interrupt, settle
from tests.support.builders import (
    OTHER_ID,
    a_conversation,
    a_new_turn,
    question_id,
    reply_id,
    turn_id,
    with_question,
)
from tests.support.clocks import NOON


def with_reply(
    conversation: Conversation, number: int, state: str | None, text: str = "Hi!"
) -> Conversation:
    """The conversation with its open turn finished, in which the hook answered this state."""
    pieces: list[Piece] = [StatePiece(state), TextPiece(text)]
    return finish(conversation, turn_id(number), pieces, NOON, reason=FinishReason.STOP)


def after_turns_with(*states: str | None) -> Conversation:
    """A conversation with a turn for each state, which the hook answered in that turn."""
    conversation = a_conversation()
    for number, state in enumerate(states, 1):
        conversation = with_reply(with_question(conversation, number=number), number, state)
    return conversation


def test_a_reply_changes_the_state() -> None:
    conversation = after_turns_with("1")

    assert conversation.hook_state == "1"
    assert [part for message in conversation.messages for part in message.parts] == [
        TextPart("Hello?"),
        TextPart("Hi!"),
    ]


def test_the_last_state_of_a_reply_counts() -> None:
    opened = with_question(a_conversation())
    pieces: list[Piece] = [StatePiece("1"), TextPiece("Hi!"), StatePiece(None), StatePiece("2")]

    assert interrupt(opened, turn_id(), pieces, NOON).hook_state == "2"


def test_a_state_can_be_removed_and_restored() -> None:
    conversation = after_turns_with("1", None)

    assert conversation.hook_state is None
    assert regenerate(conversation, a_new_turn(3)).hook_state == "1"


def test_a_state_that_does_not_change_is_stored_once() -> None:
    once, thrice = after_turns_with("1"), after_turns_with("1", "1", "1")

    assert [message.hook_state_before for message in once.messages] == [None, "null"]
    assert [message.hook_state_before for message in thrice.messages[2:]] == 4 * [None]
    assert thrice.hook_state == "1"


def test_another_reply_begins_with_the_state_of_the_first() -> None:
    again = regenerate(after_turns_with("1", "2"), a_new_turn(3))

    assert again.hook_state == "1"
    assert regenerate(with_reply(again, 3, "3"), a_new_turn(4)).hook_state == "1"


def test_an_edited_message_begins_with_the_state_of_the_first() -> None:
    conversation = after_turns_with("1", "2", "3")

    edited = edit_message(conversation, a_new_turn(4), question_id(2), (TextPart("No."),))

    assert edited.hook_state == "1"


def test_the_first_message_begins_without_a_state_when_it_is_repeated() -> None:
    conversation = after_turns_with("1", "2")

    assert regenerate(conversation, a_new_turn(3), question_id(1)).hook_state is None
    assert regenerate(conversation, a_new_turn(3), reply_id(1)).hook_state is None


def test_a_turn_that_changes_nothing_is_no_obstacle() -> None:
    conversation = after_turns_with("1", "1", "2")

    assert regenerate(conversation, a_new_turn(4), question_id(2)).hook_state == "1"


@pytest.mark.parametrize("end", [interrupt, settle])
def test_a_reply_that_ends_early_changes_the_state_if_it_has_a_word(
    end: Callable[..., Conversation],
) -> None:
    opened = with_question(after_turns_with("1"), number=2)

    silent = end(opened, turn_id(2), [StatePiece("2")], NOON)
    started = end(opened, turn_id(2), [StatePiece("2"), TextPiece("H")], NOON)

    assert (silent.hook_state, len(silent.messages)) == ("1", 3)
    assert (started.hook_state, len(started.messages)) == ("2", 4)


def test_a_failed_reply_changes_the_state_if_it_has_a_word() -> None:
    opened = with_question(after_turns_with("1"), number=2)

    silent = fail(opened, turn_id(2), [StatePiece("2")], NOON, "model_failed")
    started = fail(opened, turn_id(2), [StatePiece("2"), TextPiece("H")], NOON, "model_failed")

    assert (silent.hook_state, started.hook_state) == ("1", "2")
    assert with_question(started, "Again", 3).hook_state == "2"
    assert regenerate(started, a_new_turn(3)).hook_state == "1"


def test_a_continued_reply_keeps_the_state_before_all_its_turns() -> None:
    opened = with_question(after_turns_with("1"), number=2)
    cut = interrupt(opened, turn_id(2), [StatePiece("2"), TextPiece("Onc")], NOON)

    continued = with_reply(continue_reply(cut, a_new_turn(3)), 3, "3", "e")

    assert continue_reply(cut, a_new_turn(3)).hook_state == "2"
    assert continued.hook_state == "3"
    assert regenerate(continued, a_new_turn(4)).hook_state == "1"


def test_a_continuation_that_adds_nothing_changes_no_state() -> None:
    cut = interrupt(with_question(a_conversation()), turn_id(), [TextPiece("Onc")], NOON)
    continuing = continue_reply(cut, a_new_turn(2))

    assert settle(continuing, turn_id(2), [StatePiece("2")], NOON).hook_state is None
    assert fail(continuing, turn_id(2), [StatePiece("2")], NOON, "x").hook_state is None


def test_a_turn_with_tool_results_begins_with_the_newest_state() -> None:
    call = ToolCallPiece(call_id="c", name="show_map", arguments="{}")
    opened, pieces = with_question(a_conversation()), list[Piece]([StatePiece("1"), call])
    calling = finish(opened, turn_id(), pieces, NOON, reason=FinishReason.TOOL_CALLS)
    results = [ToolResultPart(call_id="c", output="1")]

    answered = submit_tool_results(calling, a_new_turn(2), results)
    done = with_reply(answered, 2, "2")

    assert (answered.hook_state, done.hook_state) == ("1", "2")
    assert regenerate(done, a_new_turn(3)).hook_state is None


def test_a_branch_has_the_state_at_the_end_of_its_turn() -> None:
    conversation = after_turns_with("1", "2", "3")

    def branch(number: int) -> Conversation:
        return branch_at_turn(
            conversation, number, session_id=OTHER_ID, turn_id=turn_id(9), at=NOON
        )

    assert [branch(number).hook_state for number in (1, 2, 3)] == ["1", "2", "3"]


def test_deleting_messages_leaves_the_state() -> None:
    assert without_turn(after_turns_with("1", "2", "3"), 2).hook_state == "3"


def test_states_count_towards_the_limits() -> None:
    small, large = after_turns_with("1", "2"), after_turns_with("1", "[" + 98 * " " + "]")

    assert large.counted_bytes - small.counted_bytes == 99
    assert with_reply(with_question(large, number=3), 3, "3").messages[-1].counted_bytes == (
        small.messages[-1].counted_bytes + 99
    )


Step = tuple[str, int, Sequence[Piece]]
steps = st.tuples(
    st.sampled_from(
        ["add", "edit", "regenerate", "continue", "finish", "interrupt", "fail", "settle"]
    ),
    st.integers(1, 4),
    st.lists(
        st.sampled_from([TextPiece("word"), StatePiece(None), StatePiece("1"), StatePiece("2")]),
        max_size=3,
    ),
)


def after_step(conversation: Conversation, step: Step, number: int) -> Conversation:
    """The conversation after a step, which opens turn ``number`` or ends the newest one."""
    name, message, pieces = step
    at, text = NOON + timedelta(minutes=number), (TextPart(f"n {message}"),)
    new_turn, named = a_new_turn(number, at=at), question_id(message)
    newest = turn_id(0) if conversation.turn is None else conversation.turn.id
    changes: dict[str, Callable[[], Conversation]] = {
        "add": lambda: add_user_message(conversation, new_turn, named, text),
        "edit": lambda: edit_message(conversation, new_turn, named, text),
        "regenerate": lambda: regenerate(conversation, new_turn, named),
        "continue": lambda: continue_reply(conversation, new_turn),
        "finish": lambda: finish(conversation, newest, pieces, at, reason=FinishReason.LENGTH),
        "interrupt": lambda: interrupt(conversation, newest, pieces, at),
        "fail": lambda: fail(conversation, newest, pieces, at, "model_failed"),
        "settle": lambda: settle(conversation, newest, pieces, at),
    }
    try:
        return changes[name]()
    except DomainError:
        return conversation


def questions_in(conversation: Conversation) -> list[MessageId]:
    return [message.id for message in conversation.messages if message.role is Role.USER]


@settings(max_examples=300, deadline=None)
@given(history=st.lists(steps, max_size=20))
def test_a_turn_begins_as_when_its_message_was_first_answered(history: list[Step]) -> None:
    conversation, first_states = a_conversation(), dict[MessageId, str | None]()
    for number, step in enumerate(history, 1):
        after = after_step(conversation, step, number)
        questions, turn = questions_in(after), after.open_turn
        first_states = {name: state for name, state in first_states.items() if name in questions}
        if turn is not None and turn.id == turn_id(number) and not turn.continues:
            first = first_states.setdefault(questions[-1], conversation.hook_state)

            assert after.hook_state == first
        conversation = after
