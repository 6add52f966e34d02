"""How turns end, and what each end does to the conversation."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import evolve

from domain.model.conversation import RETENTION, Conversation
from domain.model.errors import TurnSuperseded
from domain.model.identifiers import TurnId
from domain.model.message import FinishReason, MessageStatus, Role, Usage
from domain.model.piece import Piece
from domain.model.turn import IdempotencyKey, TurnStatus
from domain.service.turn_lifecycle import add_user_message, fail, finish, interrupt, settle
from tests.support.builders import (
    a_conversation,
    a_new_turn,
    after_turns,
    pieces_of,
    question_id,
    reply_id,
    texts_of,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON

LATER = NOON + timedelta(hours=3)
USAGE = Usage(input_tokens=1, output_tokens=2)
KEY = IdempotencyKey(digest=b"k", body_digest=b"b")
Ending = Callable[[Conversation, TurnId, list[Piece]], Conversation]


def finishing(conversation: Conversation, turn: TurnId, pieces: list[Piece]) -> Conversation:
    return finish(conversation, turn, pieces, LATER, reason=FinishReason.LENGTH, usage=USAGE)


def interrupting(conversation: Conversation, turn: TurnId, pieces: list[Piece]) -> Conversation:
    return interrupt(conversation, turn, pieces, LATER)


def failing(conversation: Conversation, turn: TurnId, pieces: list[Piece]) -> Conversation:
    return fail(conversation, turn, pieces, LATER, "model_failed")


def settling(conversation: Conversation, turn: TurnId, pieces: list[Piece]) -> Conversation:
    return settle(conversation, turn, pieces, LATER)


ENDINGS = [
    (finishing, "finished"),
    (interrupting, "interrupted"),
    (failing, "failed"),
    (settling, "interrupted"),
]


@pytest.mark.parametrize(("end", "status"), ENDINGS)
def test_the_pieces_become_the_reply(end: Ending, status: str) -> None:
    after = end(with_question(a_conversation()), turn_id(), pieces_of("Hel", "lo"))

    reply = after.messages[-1]
    assert after.open_turn is None
    assert after.turn is not None
    assert (after.turn.status.value, after.turn.ended_at) == (status, LATER)
    assert (reply.id, reply.text, reply.role) == (reply_id(), "Hello", Role.ASSISTANT)
    assert (reply.status, reply.turn, reply.number) == (MessageStatus(status), 1, 2)
    assert reply.created_at == LATER


def test_a_finished_reply_has_its_finish_reason_and_usage() -> None:
    reply = finishing(with_question(a_conversation()), turn_id(), pieces_of("Hi")).messages[-1]

    assert (reply.finish_reason, reply.usage) == (FinishReason.LENGTH, USAGE)


@pytest.mark.parametrize("end", [interrupting, failing, settling])
def test_without_pieces_there_is_no_message(end: Ending) -> None:
    assert texts_of(end(with_question(a_conversation(), "Hi?"), turn_id(), [])) == ["Hi?"]


def test_a_finished_reply_is_a_message_even_if_it_is_empty() -> None:
    assert texts_of(finishing(with_question(a_conversation(), "Hi?"), turn_id(), [])) == ["Hi?", ""]


@pytest.mark.parametrize(
    ("end", "retained_since"),
    [(finishing, LATER), (interrupting, LATER), (failing, LATER), (settling, NOON)],
)
def test_every_end_but_settling_restarts_the_retention(end: Ending, retained_since: object) -> None:
    after = end(with_question(a_conversation()), turn_id(), pieces_of("Hi"))

    assert after.expires_at - RETENTION == retained_since


@pytest.mark.parametrize("end", [finishing, interrupting, failing, settling])
def test_repeating_an_end_changes_nothing(end: Ending) -> None:
    once = end(with_question(a_conversation()), turn_id(), pieces_of("Hi"))

    assert end(once, turn_id(), pieces_of("again")) is once


@pytest.mark.parametrize("end", [finishing, interrupting, failing, settling])
@pytest.mark.parametrize(
    "conversation", [a_conversation(), with_question(after_turns(1), number=2)]
)
def test_a_turn_that_is_not_the_newest_is_superseded(
    end: Ending, conversation: Conversation
) -> None:
    with pytest.raises(TurnSuperseded):
        end(conversation, turn_id(1), pieces_of("late"))


@pytest.mark.parametrize("end", [interrupting, failing])
def test_ending_a_turn_in_another_way_is_superseded(end: Ending) -> None:
    with pytest.raises(TurnSuperseded):
        end(with_answer(with_question(a_conversation())), turn_id(), [])


def test_settling_a_turn_that_has_ended_changes_nothing() -> None:
    ended = with_answer(with_question(a_conversation()))

    assert settling(ended, turn_id(), []) is ended


def with_a_key() -> Conversation:
    return add_user_message(a_conversation(), a_new_turn(idempotency=KEY), question_id(), ())


@pytest.mark.parametrize(("texts", "kept"), [([], None), (["H"], KEY)])
def test_a_failure_before_the_first_piece_releases_the_idempotency_key(
    texts: list[str], kept: IdempotencyKey | None
) -> None:
    after = failing(with_a_key(), turn_id(), pieces_of(*texts))

    assert after.turn is not None
    assert after.turn.idempotency == kept
    assert after.turn.error == "model_failed"


@pytest.mark.parametrize(
    ("texts", "status", "kept"),
    [([], TurnStatus.FAILED, None), (["H"], TurnStatus.INTERRUPTED, KEY)],
)
def test_a_dead_turn_without_a_piece_has_failed_and_releases_the_idempotency_key(
    texts: list[str], status: TurnStatus, kept: IdempotencyKey | None
) -> None:
    after = settling(with_a_key(), turn_id(), pieces_of(*texts))

    assert after.turn is not None
    assert (after.turn.status, after.turn.idempotency) == (status, kept)
    assert after.turn.error == (None if texts else "turn_abandoned")
    assert after.retained_since == NOON


@pytest.mark.parametrize("end", [finishing, interrupting])
def test_any_other_end_keeps_the_idempotency_key(end: Ending) -> None:
    after = end(with_a_key(), turn_id(), [])

    assert after.turn is not None
    assert after.turn.idempotency == KEY


def test_ending_a_turn_changes_nothing_before_it() -> None:
    before = with_question(after_turns(2), number=3)
    after = finishing(before, turn_id(3), pieces_of("Hi"))

    assert after.messages[:-1] == before.messages
    assert evolve(after, messages=(), turn=None, next_number=1, retained_since=NOON) == evolve(
        before, messages=(), turn=None, next_number=1, retained_since=NOON
    )
