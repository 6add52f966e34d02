"""Replies in which we ran tools ourselves: how they end, go on, and are read again."""

from collections.abc import Callable, Sequence

import pytest
from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput, NothingToAnswer
from domain.model.message import (
    FinishReason,
    Message,
    MessageStatus,
    Part,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from domain.model.piece import (
    Piece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
    assemble_parts,
)
from domain.model.turn import TurnStatus
from domain.service.item_editing import open_turn_with_items
from domain.service.reply_continuation import continue_reply
from domain.service.reply_reading import pieces_of as stored_pieces
from domain.service.reply_reading import split_before_turn, unheard
from domain.service.server_calls import INTERRUPTED_OUTPUT
from domain.service.tool_answers import submit_tool_results
from domain.service.turn_lifecycle import fail, finish, interrupt, settle, with_reply_so_far
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    pieces_of,
    turn_id,
    turn_of,
    with_question,
)
from tests.support.clocks import NOON

SOURCE = SourcePart(id="s1", title="Cats", url="https://example.org/cats")


def call(call_id: str, server: str | None = "library", arguments: str = "{}") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="search", arguments=arguments, server=server)


def result(call_id: str, output: str = '"found"') -> ToolResultPart:
    return ToolResultPart(call_id=call_id, output=output)


def lost(call_id: str) -> ToolResultPart:
    return ToolResultPart(call_id=call_id, output=INTERRUPTED_OUTPUT, failed=True)


def reply_of(conversation: Conversation) -> Message:
    return conversation.messages[-1]


def settled(pieces: Sequence[Piece]) -> Conversation:
    return settle(with_question(a_conversation()), turn_id(), pieces, NOON)


def stopped(pieces: Sequence[Piece]) -> Conversation:
    return interrupt(with_question(a_conversation()), turn_id(), pieces, NOON)


def failed(pieces: Sequence[Piece]) -> Conversation:
    return fail(with_question(a_conversation()), turn_id(), pieces, NOON, "model_failed")


TWO_STEPS: tuple[Piece, ...] = (
    SourcePiece(SOURCE),
    TextPiece("Let me look."),
    call("a"),
    call("b", arguments=""),
    ToolResultPiece(result("b")),
    ToolResultPiece(result("a")),
    StepPiece(),
    TextPiece("Found."),
)


@pytest.mark.parametrize("end", [settled, stopped, failed])
def test_a_call_without_its_result_gets_a_failed_one(
    end: Callable[[Sequence[Piece]], Conversation],
) -> None:
    pieces: list[Piece] = [
        call("a"),
        call("b"),
        call("c", server=None),
        ToolResultPiece(result("b")),
    ]
    reply = reply_of(end(pieces))

    assert reply.parts[3:] == (result("b"), lost("a"))
    assert [call.call_id for call in reply.open_tool_calls] == ["c"]


@pytest.mark.parametrize("end", [settled, stopped, failed])
def test_sources_and_a_state_alone_are_no_reply(
    end: Callable[[Sequence[Piece]], Conversation],
) -> None:
    ended = end([SourcePiece(SOURCE), StatePiece("{}")])

    assert len(ended.messages) == 1
    assert turn_of(ended).idempotency is None


def test_without_a_reply_a_dead_turn_has_failed() -> None:
    assert turn_of(settled([SourcePiece(SOURCE)])).status is TurnStatus.FAILED


def test_every_piece_of_a_stored_reply_can_be_read_again() -> None:
    assert stored_pieces(assemble_parts(TWO_STEPS)) == TWO_STEPS


def test_results_of_the_client_are_not_read_as_pieces() -> None:
    parts = assemble_parts([call("a", server=None)])

    assert stored_pieces((*parts, result("a"))) == (call("a", server=None),)


@pytest.mark.parametrize("heard", range(len(TWO_STEPS) + 1))
def test_a_follower_gets_the_rest_after_each_piece(heard: int) -> None:
    done = finish(
        with_question(a_conversation()), turn_id(), TWO_STEPS, NOON, reason=FinishReason.STOP
    )

    assert unheard(reply_of(done), turn_of(done), TWO_STEPS[:heard]) == TWO_STEPS[heard:]


def test_a_follower_learns_that_a_call_was_interrupted() -> None:
    after = stopped([call("a")])

    assert unheard(reply_of(after), turn_of(after), [call("a")]) == (ToolResultPiece(lost("a")),)


def test_a_call_id_of_an_earlier_step_begins_another_call() -> None:
    pieces: list[Piece] = [
        call("a", arguments='{"n":1}'),
        ToolResultPiece(result("a")),
        StepPiece(),
        call("a", arguments='{"n":2}'),
    ]
    calls = [part for part in assemble_parts(pieces) if isinstance(part, ToolCallPart)]

    assert [part.arguments for part in calls] == ['{"n":1}', '{"n":2}']


# Calls of both kinds


def waiting_for_client() -> Conversation:
    """The model has called a tool of ours and one of the client; ours has its result."""
    pieces: list[Piece] = [
        call("ours"),
        call("theirs", server=None),
        ToolResultPiece(result("ours")),
    ]
    return finish(
        with_question(a_conversation()), turn_id(), pieces, NOON, reason=FinishReason.TOOL_CALLS
    )


def test_only_the_results_of_the_client_are_waited_for() -> None:
    continued = submit_tool_results(waiting_for_client(), a_new_turn(2), [result("theirs")])

    assert reply_of(continued).parts[2:] == (result("ours"), result("theirs"))
    assert turn_of(continued).parts_before == 4


def test_a_client_may_repeat_results_of_our_tools() -> None:
    sent = [result("ours", '"something else"'), result("theirs")]
    continued = submit_tool_results(waiting_for_client(), a_new_turn(2), sent)

    assert reply_of(continued).parts[2:] == (result("ours"), result("theirs"))


def test_a_turn_after_the_results_of_the_client_may_run_our_tools() -> None:
    waiting = waiting_for_client()
    continued = submit_tool_results(waiting, a_new_turn(2), [result("theirs")])
    pieces = (call("c"), ToolResultPiece(result("c")), StepPiece(), TextPiece("Found."))
    done = finish(continued, turn_id(2), pieces, NOON, reason=FinishReason.STOP)
    before, added = split_before_turn(reply_of(done), turn_of(done))

    assert before == reply_of(continued).parts
    assert added == (StepMark(), *assemble_parts(pieces))
    assert unheard(reply_of(done), turn_of(done), pieces[:1]) == pieces[1:]


def test_results_that_are_sent_again_replace_what_the_failed_turn_added() -> None:
    sent = [result("theirs")]
    continued = submit_tool_results(waiting_for_client(), a_new_turn(2), sent)
    broken: list[Piece] = [call("c"), ToolResultPiece(result("c")), TextPiece("Fou")]
    after_failure = fail(continued, turn_id(2), broken, NOON, "model_failed")
    again = submit_tool_results(after_failure, a_new_turn(3), sent)

    assert reply_of(again).parts == reply_of(continued).parts


def test_a_turn_of_an_older_release_is_split_at_its_last_result() -> None:
    continued = submit_tool_results(waiting_for_client(), a_new_turn(2), [result("theirs")])
    done = finish(continued, turn_id(2), pieces_of("Found."), NOON, reason=FinishReason.STOP)
    older = evolve(turn_of(done), parts_before=None)

    assert split_before_turn(reply_of(done), older)[1] == (StepMark(), TextPart("Found."))


def test_a_response_without_items_needs_a_result_of_the_client() -> None:
    with pytest.raises(NothingToAnswer):
        open_turn_with_items(waiting_for_client(), a_new_turn(2), ())


# Cut replies


def cut(*pieces: Piece) -> Conversation:
    return finish(
        with_question(a_conversation()), turn_id(), pieces, NOON, reason=FinishReason.LENGTH
    )


def test_a_reply_that_was_cut_after_a_call_is_continued_in_its_last_text() -> None:
    continued = continue_reply(cut(*TWO_STEPS), a_new_turn(2))
    done = finish(continued, turn_id(2), pieces_of(" A lot."), NOON, reason=FinishReason.STOP)

    assert reply_of(done).parts[-1] == TextPart("Found. A lot.")


def test_sources_of_a_continuation_do_not_prevent_another_one() -> None:
    once = continue_reply(cut(TextPiece("One")), a_new_turn(2))
    pieces: list[Piece] = [SourcePiece(SOURCE), TextPiece(" two")]
    twice = finish(once, turn_id(2), pieces, NOON, reason=FinishReason.LENGTH)
    continued = continue_reply(twice, a_new_turn(3))

    assert reply_of(continued).parts == (TextPart("One two"), SOURCE)


MORE: tuple[Piece, ...] = (
    TextPiece(" Let me look."),
    call("c"),
    ToolResultPiece(result("c")),
    StepPiece(),
    TextPiece("Found again."),
)


def test_only_the_first_text_of_a_continuation_joins_the_cut_one() -> None:
    continued = continue_reply(cut(TextPiece("Wait.")), a_new_turn(2))
    done = finish(continued, turn_id(2), MORE, NOON, reason=FinishReason.STOP)
    parts: tuple[Part, ...] = (TextPart("Wait. Let me look."), *assemble_parts(MORE)[1:])

    assert reply_of(done).parts == parts


@pytest.mark.parametrize("heard", range(len(MORE) + 1))
def test_a_follower_gets_the_rest_of_a_continuation(heard: int) -> None:
    continued = continue_reply(cut(TextPiece("Wait.")), a_new_turn(2))
    done = finish(continued, turn_id(2), MORE, NOON, reason=FinishReason.STOP)

    assert unheard(reply_of(done), turn_of(done), MORE[:heard]) == MORE[heard:]


# The next prompt of the same turn


def test_the_reply_so_far_is_the_last_message() -> None:
    asked = with_question(a_conversation())
    so_far = with_reply_so_far(asked, TWO_STEPS[:6])

    assert reply_of(so_far).parts == assemble_parts(TWO_STEPS[:6])
    assert reply_of(so_far).status is MessageStatus.FINISHED
    assert so_far.open_turn is not None


def test_after_a_call_a_cut_reply_is_no_longer_continued_where_it_was_cut() -> None:
    continued = continue_reply(cut(TextPiece("Wait.")), a_new_turn(2))
    so_far = with_reply_so_far(continued, MORE[:3])

    assert reply_of(so_far).parts[0] == TextPart("Wait. Let me look.")
    assert continued.continues_cut_reply
    assert not so_far.continues_cut_reply


def test_a_result_for_a_call_of_ours_alone_is_unexpected() -> None:
    with pytest.raises(InvalidInput):
        submit_tool_results(stopped([call("a")]), a_new_turn(2), [result("a")])
