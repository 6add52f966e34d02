"""Invariants that hold after any sequence of steps."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.conversation import Conversation
from domain.model.errors import DomainError
from domain.model.message import FinishReason, TextPart
from domain.service.regeneration import edit_message, regenerate
from domain.service.reply_continuation import continue_reply
from domain.service.turn_lifecycle import add_user_message, fail, finish, interrupt, settle
from tests.support.builders import a_conversation, a_new_turn, pieces_of, question_id, turn_id
from tests.support.clocks import NOON

Step = tuple[str, int, int]
steps = st.tuples(
    st.sampled_from(
        ["add", "edit", "regenerate", "continue", "finish", "interrupt", "fail", "settle"]
    ),
    st.integers(1, 5),
    st.integers(0, 2),
)


def after_step(conversation: Conversation, step: Step, minute: int) -> Conversation:
    name, number, piece_count = step
    at, pieces = NOON + timedelta(minutes=minute), pieces_of(*["word"] * piece_count)
    new_turn, turn, text = a_new_turn(number, at=at), turn_id(number), (TextPart(f"n {number}"),)
    changes: dict[str, Callable[[], Conversation]] = {
        "add": lambda: add_user_message(conversation, new_turn, question_id(number), text),
        "edit": lambda: edit_message(conversation, new_turn, None, text),
        "regenerate": lambda: regenerate(conversation, new_turn),
        "continue": lambda: continue_reply(conversation, new_turn),
        "finish": lambda: finish(conversation, turn, pieces, at, reason=FinishReason.STOP),
        "interrupt": lambda: interrupt(conversation, turn, pieces, at),
        "fail": lambda: fail(conversation, turn, pieces, at, "model_failed"),
        "settle": lambda: settle(conversation, turn, pieces, at),
    }
    try:
        return changes[name]()
    except DomainError:
        return conversation


@settings(max_examples=60)
@given(history=st.lists(steps, max_size=12))
def test_invariants_hold_after_any_steps(history: list[Step]) -> None:
    conversation, turns, numbers = a_conversation(), [0], [1]
    for minute, step in enumerate(history):
        after = after_step(conversation, step, minute)

        order = [message.number for message in after.messages]
        assert order == sorted(set(order))
        assert all(number < after.next_number for number in order)
        assert after.next_number >= numbers[-1]
        assert after.retained_since >= conversation.retained_since
        assert after_step(after, step, minute) == after
        if after.turn is not None:
            assert after.turn.number - turns[-1] in (0, 1)
            turns.append(after.turn.number)
        numbers.append(after.next_number)
        conversation = after
