"""Continuing a reply that ended early: when it is possible, and what the message becomes."""

from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.model.conversation import Conversation, with_welcome
from domain.model.errors import (
    MessageNotFound,
    NothingToContinue,
    OlderMessagesNeeded,
    TurnInProgress,
    TurnSuperseded,
)
from domain.model.identifiers import MessageId
from domain.model.limits import MAX_CONTINUED_BYTES
from domain.model.message import (
    FinishReason,
    MessageStatus,
    Part,
    ReasoningPart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from domain.model.piece import Piece, ReasoningPiece, TextPiece, ToolCallPiece, assemble_parts
from domain.service.reply_continuation import continue_reply, is_being_continued
from domain.service.reply_reading import end_of, split_before_turn, unheard
from domain.service.tool_answers import is_continuing_with, submit_tool_results
from domain.service.turn_lifecycle import fail, finish, interrupt, settle
from tests.support.builders import (
    a_conversation,
    a_message,
    a_new_turn,
    after_turns,
    pieces_of,
    reply_id,
    turn_id,
    turn_of,
    with_question,
)
from tests.support.clocks import NOON

LATER = NOON + timedelta(hours=1)
LENGTH = FinishReason.LENGTH
USAGE = Usage(input_tokens=10, output_tokens=4, reasoning_tokens=1)


def cut_reply(*pieces: Piece, reason: FinishReason = LENGTH) -> Conversation:
    """A conversation whose only reply consists of these pieces and was cut."""
    pieces = pieces or (ReasoningPiece("Hm."), TextPiece("Once upon a ti"))
    question = with_question(a_conversation())
    return finish(question, turn_id(), pieces, NOON, reason=reason, usage=USAGE)


def continued(*pieces: Piece, reason: FinishReason = FinishReason.STOP) -> Conversation:
    """The same, after a turn that continued the reply with these pieces."""
    opened = continue_reply(cut_reply(), a_new_turn(2))
    return finish(opened, turn_id(2), pieces, LATER, reason=reason, usage=USAGE)


def parts_of(conversation: Conversation) -> tuple[Part, ...]:
    return conversation.messages[-1].parts


def test_the_text_goes_on_in_the_same_message_without_a_gap() -> None:
    before = cut_reply()
    after = continued(TextPiece("me, "), TextPiece("there was"))

    assert parts_of(after) == (ReasoningPart("Hm."), TextPart("Once upon a time, there was"))
    assert len(after.messages) == len(before.messages)
    old, new = before.messages[-1], after.messages[-1]
    assert (new.id, new.number, new.turn) == (old.id, old.number, old.turn)
    assert (new.status, new.finish_reason) == (MessageStatus.FINISHED, FinishReason.STOP)


def test_the_usage_of_a_continued_reply_is_that_of_all_its_turns() -> None:
    after = continued(TextPiece("me"))
    total = Usage(input_tokens=20, output_tokens=8, reasoning_tokens=2)

    assert after.messages[-1].usage == total
    assert end_of(after, turn_of(after)).usage == total


def test_a_count_that_one_turn_did_not_report_is_unknown() -> None:
    opened = continue_reply(cut_reply(), a_new_turn(2))
    reply = {"reason": LENGTH, "usage": Usage(input_tokens=1)}
    after = finish(opened, turn_id(2), pieces_of("me"), LATER, **reply)  # type: ignore[arg-type]

    assert after.messages[-1].usage == Usage(input_tokens=11)


def test_new_reasoning_is_a_part_of_its_own() -> None:
    after = continued(ReasoningPiece("Go on."), TextPiece("me, the"), ReasoningPiece("End."))

    assert parts_of(after) == (
        ReasoningPart("Hm."),
        TextPart("Once upon a time, the"),
        ReasoningPart("Go on."),
        ReasoningPart("End."),
    )


def test_a_reply_that_is_cut_again_can_be_continued_again() -> None:
    twice = continued(TextPiece("me, "), reason=LENGTH)
    opened = continue_reply(twice, a_new_turn(3), reply_id())
    after = finish(opened, turn_id(3), pieces_of("there"), LATER, reason=FinishReason.STOP)

    assert after.messages[-1].text == "Once upon a time, there"


def test_a_continuation_that_only_thought_can_be_continued_again() -> None:
    thought = continued(ReasoningPiece("Go on."), reason=LENGTH)
    opened = continue_reply(thought, a_new_turn(3))
    after = finish(opened, turn_id(3), pieces_of("me"), LATER, reason=FinishReason.STOP)

    assert after.messages[-1].text == "Once upon a time"
    assert parts_of(after)[-1] == ReasoningPart("Go on.")


def test_a_continuation_that_fails_without_a_piece_changes_nothing_in_the_reply() -> None:
    cut = cut_reply()
    opened = continue_reply(cut, a_new_turn(2))

    for ended in (
        fail(opened, turn_id(2), (), LATER, "model_failed"),
        interrupt(opened, turn_id(2), (), LATER),
        settle(opened, turn_id(2), (), LATER),
    ):
        assert ended.messages == cut.messages
        assert continue_reply(ended, a_new_turn(3)).open_turn


@pytest.mark.parametrize("end", ["fail", "interrupt", "settle"])
def test_what_came_before_a_failure_is_kept_and_can_be_continued(end: str) -> None:
    opened = continue_reply(cut_reply(), a_new_turn(2))
    pieces = pieces_of("me, ")
    steps = {
        "fail": lambda: fail(opened, turn_id(2), pieces, LATER, "model_failed"),
        "interrupt": lambda: interrupt(opened, turn_id(2), pieces, LATER),
        "settle": lambda: settle(opened, turn_id(2), pieces, LATER),
    }
    ended = steps[end]()

    reply = ended.messages[-1]
    assert reply.text == "Once upon a time, "
    assert (reply.finish_reason, reply.usage) == (None, None)
    assert reply.status is not MessageStatus.FINISHED
    assert continue_reply(ended, a_new_turn(3)).open_turn


def test_a_reply_that_was_stopped_can_be_continued() -> None:
    stopped = interrupt(with_question(a_conversation()), turn_id(), pieces_of("Once"), NOON)

    assert turn_of(continue_reply(stopped, a_new_turn(2))).continues


@pytest.mark.parametrize(
    "conversation",
    [
        a_conversation(),
        with_welcome(a_conversation(), MessageId("w"), "Hello!"),
        after_turns(1),
        cut_reply(ReasoningPiece("Only thoughts.")),
        cut_reply(TextPiece("\n\n")),
        cut_reply(TextPiece("Some"), reason=FinishReason.CONTENT_FILTER),
        cut_reply(TextPiece("Look"), ToolCallPiece(call_id="a", name="look", arguments="{")),
        cut_reply(TextPiece("=" * (MAX_CONTINUED_BYTES + 1))),
        fail(with_question(a_conversation()), turn_id(), (), NOON, "model_failed"),
    ],
)
def test_nothing_else_can_be_continued(conversation: Conversation) -> None:
    with pytest.raises(NothingToContinue):
        continue_reply(conversation, a_new_turn(2))


def test_only_the_last_message_can_be_continued() -> None:
    answered = finish(
        with_question(cut_reply(), number=2), turn_id(2), pieces_of("No"), LATER, reason=LENGTH
    )

    with pytest.raises(NothingToContinue):
        continue_reply(answered, a_new_turn(3), reply_id(1))
    with pytest.raises(MessageNotFound):
        continue_reply(answered, a_new_turn(3), MessageId("unknown"))
    with pytest.raises(OlderMessagesNeeded):
        continue_reply(evolve(answered, earlier=1), a_new_turn(3), MessageId("unknown"))


def test_an_open_turn_is_not_interrupted_for_a_continuation() -> None:
    with pytest.raises(TurnInProgress) as refused:
        continue_reply(with_question(cut_reply(), number=2), a_new_turn(3))

    assert not refused.value.can_interrupt


def test_a_reply_that_is_still_being_written_is_not_unknown() -> None:
    writing = with_question(a_conversation())

    with pytest.raises(TurnInProgress):
        continue_reply(writing, a_new_turn(2), reply_id())


def test_repeating_the_opening_or_the_end_changes_nothing() -> None:
    opened = continue_reply(cut_reply(), a_new_turn(2))
    after = finish(opened, turn_id(2), pieces_of("me"), LATER, reason=LENGTH, usage=USAGE)

    assert continue_reply(opened, a_new_turn(2)) is opened
    assert finish(after, turn_id(2), pieces_of("me"), LATER, reason=LENGTH, usage=USAGE) is after
    with pytest.raises(TurnSuperseded):
        interrupt(after, turn_id(2), pieces_of("me"), LATER)


def test_a_second_request_for_the_same_reply_joins_the_turn() -> None:
    opened = continue_reply(cut_reply(), a_new_turn(2))

    assert is_being_continued(opened, None)
    assert is_being_continued(opened, reply_id())
    assert not is_being_continued(opened, MessageId("other"))
    assert not is_being_continued(cut_reply(), None)
    assert not is_being_continued(with_question(cut_reply(), number=2), None)


def test_a_follower_gets_only_what_the_turn_added() -> None:
    after = continued(ReasoningPiece("Go on."), TextPiece("me, "), TextPiece("the end"))
    reply, turn = after.messages[-1], turn_of(after)

    assert unheard(reply, turn, ()) == (TextPiece("me, the end"), ReasoningPiece("Go on."))
    assert unheard(reply, turn, (ReasoningPiece("Go"), TextPiece("me"))) == (
        TextPiece(", the end"),
        ReasoningPiece(" on."),
    )
    assert unheard(reply, turn, (ReasoningPiece("Go on."),)) == (TextPiece("me, the end"),)
    assert unheard(reply, turn, (TextPiece("Once"),)) == ()
    assert split_before_turn(reply, turn)[0] == parts_of(cut_reply())


def test_what_was_added_to_an_edited_reply_is_not_looked_for_beyond_its_parts() -> None:
    after = continued(TextPiece("me"))
    edited = evolve(after.messages[-1], parts=(ReasoningPart("Hm."),))

    assert split_before_turn(edited, turn_of(after)) == ((ReasoningPart("Hm."),), ())


pieces = st.lists(
    st.one_of(
        st.builds(TextPiece, st.text(min_size=1, max_size=3)),
        st.builds(ReasoningPiece, st.text(min_size=1, max_size=3)),
    ),
    max_size=6,
)


@given(more=pieces, count=st.integers(0, 6))
def test_what_was_heard_and_the_rest_are_the_whole_continuation(
    more: list[Piece], count: int
) -> None:
    after = continued(*more)
    reply, turn = after.messages[-1], turn_of(after)
    heard = more[:count]
    whole = (*heard, *unheard(reply, turn, heard))
    text = "".join(piece.text for piece in whole if isinstance(piece, TextPiece))
    reasoning = "".join(piece.text for piece in whole if isinstance(piece, ReasoningPiece))

    assert f"Once upon a ti{text}" == reply.text
    added = [part for part in assemble_parts(more) if isinstance(part, ReasoningPart)]
    assert reasoning == "".join(part.text for part in added)
    assert parts_of(after)[2:] == tuple(added)


def test_tool_results_do_not_take_a_continuation_for_theirs() -> None:
    call = ToolCallPiece(call_id="a", name="look", arguments="{}")
    result = ToolResultPart(call_id="a", output="1")
    waiting = cut_reply(call, reason=FinishReason.TOOL_CALLS)
    answered = submit_tool_results(waiting, a_new_turn(2), [result])
    cut = finish(answered, turn_id(2), pieces_of("Ra"), LATER, reason=LENGTH)
    opened = continue_reply(cut, a_new_turn(3))
    failed = fail(opened, turn_id(3), (), LATER, "model_failed")

    assert not is_continuing_with(opened, [result])
    assert failed.messages[-1].parts == (
        ToolCallPart(call_id="a", name="look", arguments="{}"),
        result,
        StepMark(),
        TextPart("Ra"),
    )
    with pytest.raises(Exception, match="do not match"):
        submit_tool_results(failed, a_new_turn(4), [result])


def test_a_message_of_the_user_cannot_be_continued() -> None:
    asked = a_conversation(messages=(a_message(1),), next_number=2)

    with pytest.raises(NothingToContinue):
        continue_reply(asked, a_new_turn(2))
