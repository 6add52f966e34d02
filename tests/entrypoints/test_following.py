"""Following a turn after its log is gone: the state tells the same."""

from datetime import timedelta

import pytest

from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.message import FinishReason
from domain.model.piece import NumberedPiece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from ports.language_model import ModelTimedOut
from ports.turn_log import Batch
from tests.support.builders import OTHER_ID, OWNER, STRANGER, batch_of, numbered, turn_id
from tests.support.fake_model import FakeModel
from tests.support.fakes import USAGE, InstantModel
from tests.support.harness import a_harness

AT_ONCE = timedelta()
KEPT_AFTER_END = timedelta(minutes=1)
GONE = TurnEnd(outcome=Outcome.GONE, error="conversation_gone")
SUPERSEDED = TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded")
CALL = ToolCallPiece(call_id="c", name="look", arguments="{}")


async def test_any_number_may_follow_from_anywhere() -> None:
    harness = a_harness(InstantModel("One", "Two", "Three"))
    started = await harness.send()
    whole = await harness.whole_turn(started)

    session_id, turn = started.conversation.id, started.turn.id
    tails = [
        await harness.follow.read(
            TurnRef(ConversationRef(OWNER, session_id), turn), whole.pieces[:n], AT_ONCE
        )
        for n in range(4)
    ]

    assert tails == [Batch(pieces=whole.pieces[n:], end=whole.end) for n in range(4)]


async def test_a_finished_reply_is_told_one_piece_a_part_when_its_log_is_gone() -> None:
    harness = a_harness(InstantModel(ReasoningPiece("Hm"), "Hi", " there", CALL))
    started = await harness.send()
    await harness.whole_turn(started)
    harness.clock.advance(KEPT_AFTER_END)

    stored = await harness.stored(started.conversation.id)
    assert await harness.whole_turn(started) == Batch(
        pieces=[
            NumberedPiece(1, ReasoningPiece("Hm")),
            NumberedPiece(2, TextPiece("Hi there")),
            NumberedPiece(3, CALL),
        ],
        end=TurnEnd(
            outcome=Outcome.FINISHED,
            finish_reason=FinishReason.STOP,
            usage=USAGE,
            expires_at=stored.expires_at,
        ),
    )


@pytest.mark.parametrize(
    ("heard", "rest"),
    [
        (["One"], ["Two three"]),
        (["One", "Two"], [" three"]),
        (["One", "Two", " three"], []),
        (["Something else"], []),
    ],
)
async def test_a_slow_follower_gets_the_rest_from_the_state_when_the_log_is_gone(
    heard: list[str], rest: list[str]
) -> None:
    harness = a_harness(InstantModel("One", "Two", " three"))
    started = await harness.send()
    end = await harness.end_of(started)
    harness.clock.advance(KEPT_AFTER_END)

    session_id, turn = started.conversation.id, started.turn.id
    batch = await harness.follow.read(
        TurnRef(ConversationRef(OWNER, session_id), turn), numbered(*heard), AT_ONCE
    )

    assert batch == batch_of(*rest, first=len(heard) + 1, end=end)


async def test_a_failure_is_told_also_when_its_log_is_gone() -> None:
    harness = a_harness(InstantModel(error=ModelTimedOut()))
    started = await harness.send()
    end = await harness.end_of(started)
    harness.clock.advance(KEPT_AFTER_END)

    assert end.error == "model_timeout"
    assert await harness.whole_turn(started) == Batch(end=end)


async def test_a_turn_another_took_the_place_of_is_superseded() -> None:
    harness = a_harness()
    first = await harness.send()
    await harness.whole_turn(first)
    await harness.whole_turn(await harness.send("Two", session_id=first.conversation.id))

    assert await harness.whole_turn(first) == Batch(end=SUPERSEDED)


async def test_strangers_and_the_absent_are_told_the_same() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    (await fake_model.next_reply()).say("Secret")

    session_id, turn = started.conversation.id, started.turn.id
    assert await harness.follow.running(ConversationRef(STRANGER, session_id)) is None
    assert await harness.follow.running(ConversationRef(OWNER, OTHER_ID)) is None
    assert await harness.follow.read(
        TurnRef(ConversationRef(STRANGER, session_id), turn), (), AT_ONCE
    ) == Batch(end=GONE)
    assert await harness.follow.read(
        TurnRef(ConversationRef(OWNER, OTHER_ID), turn_id()), (), AT_ONCE
    ) == Batch(end=GONE)


async def test_an_open_turn_without_a_log_is_waited_for() -> None:
    harness = a_harness(FakeModel())
    started = await harness.send()
    harness.log.forget(started.conversation.id)
    before = harness.clock.monotonic()

    session_id, turn = started.conversation.id, started.turn.id
    batch = await harness.follow.read(
        TurnRef(ConversationRef(OWNER, session_id), turn), (), timedelta(seconds=10)
    )

    assert batch == Batch()
    assert harness.clock.monotonic() - before == TurnPolicy().heartbeat
