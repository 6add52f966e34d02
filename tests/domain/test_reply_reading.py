"""One turn, read out of a conversation."""

import pytest
from attrs import evolve

from domain.model.conversation import Conversation, tail_of
from domain.model.errors import TurnNotFound
from domain.model.message import Part, TextPart, UnknownPart
from domain.model.turn import TurnStatus
from domain.service.item_editing import without_turn
from domain.service.reply_reading import has_turn_loaded, read_turn
from domain.service.turn_lifecycle import fail, interrupt
from tests.support.builders import after_turns, pieces_of, turn_id, with_question, with_user_message
from tests.support.clocks import NOON

ONE, TWO = UnknownPart('{"note":1}'), UnknownPart('{"note":2}')


def with_notes(conversation: Conversation, index: int, *notes: Part) -> Conversation:
    messages = [*conversation.messages]
    messages[index] = evolve(messages[index], parts=(*messages[index].parts, *notes))
    return evolve(conversation, messages=tuple(messages))


def test_a_turn_has_all_earlier_messages_and_its_reply() -> None:
    turn = read_turn(after_turns(3), 2)

    assert [message.text for message in turn.before] == ["question 1", "answer 1", "question 2"]
    assert turn.reply is not None
    assert turn.reply.text == "answer 2"
    assert turn.status is TurnStatus.FINISHED


@pytest.mark.parametrize(("number", "enough"), [(1, 6), (2, 5), (3, 3)])
def test_a_turn_is_read_alike_once_it_is_loaded(number: int, enough: int) -> None:
    whole = with_notes(after_turns(3), 2 * number - 2, ONE, TWO)
    tails = [tail_of(whole, count) for count in range(1, 7)]
    loaded = [tail for tail in tails if has_turn_loaded(tail, number)]

    assert [len(tail.messages) for tail in loaded] == [*range(enough, 7)]
    for tail in loaded:
        read = read_turn(tail, number)
        assert evolve(read, before=()) == evolve(read_turn(whole, number), before=())
        assert read.notes == (TWO, ONE)


def test_an_open_turn_has_no_reply_yet() -> None:
    turn = read_turn(with_question(after_turns(1), number=2), 2)

    assert (turn.status, turn.reply) == (TurnStatus.OPEN, None)
    assert turn.before[-1].text == "Hello?"


def test_a_failed_turn_has_its_error_code() -> None:
    failed = fail(with_question(after_turns(1), number=2), turn_id(2), (), NOON, "model_busy")
    turn = read_turn(failed, 2)

    assert (turn.status, turn.reply, turn.error) == (TurnStatus.FAILED, None, "model_busy")


def test_an_older_turn_is_read_from_its_messages() -> None:
    stopped = interrupt(with_question(after_turns(1), number=2), turn_id(2), pieces_of("Wel"), NOON)
    silent = interrupt(with_question(after_turns(1), number=2), turn_id(2), (), NOON)

    for conversation, reply in ((stopped, "Wel"), (silent, None)):
        turn = read_turn(with_question(conversation, number=3), 2)
        assert turn.status is TurnStatus.INTERRUPTED
        assert (turn.reply.text if turn.reply else None) == reply


@pytest.mark.parametrize("number", [-1, 0, 3])
def test_a_turn_that_never_existed_is_not_found(number: int) -> None:
    with pytest.raises(TurnNotFound):
        read_turn(with_user_message(after_turns(2), turn=0), number)


def test_a_deleted_turn_is_not_found() -> None:
    with pytest.raises(TurnNotFound):
        read_turn(without_turn(after_turns(2), 2), 2)


def test_each_turn_has_the_notes_of_its_own_input() -> None:
    conversation = with_notes(with_notes(after_turns(3), 0, ONE), 2, TWO)

    assert read_turn(conversation, 1).notes == (ONE,)
    assert read_turn(conversation, 2).notes[0] == TWO
    assert ONE not in read_turn(conversation, 2).notes
    assert read_turn(conversation, 3).notes == ()


def test_a_note_after_a_reply_belongs_to_the_next_turn() -> None:
    conversation = with_notes(after_turns(2), 1, ONE)

    assert read_turn(conversation, 2).notes == (ONE,)
    assert read_turn(conversation, 1).notes == ()
    assert isinstance(conversation.messages[1].parts[0], TextPart)
