"""Following a turn after its log is gone: the store gives the same."""

from datetime import timedelta

import pytest

from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.message import FinishReason
from domain.model.piece import NumberedPiece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from ports.language_model import ModelTimedOut
from ports.turn_log import Batch
from tests.support.builders import OTHER_ID, OWNER, STRANGER, batch_of, numbered, turn_id
from tests.support.fake_model import USAGE, FakeModel, InstantModel
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

    tails = [
        await harness.follow.read(started.turn_ref, whole.pieces[:n], AT_ONCE) for n in range(4)
    ]

    assert tails == [Batch(pieces=whole.pieces[n:], end=whole.end) for n in range(4)]


async def test_a_finished_reply_without_a_log_streams_one_piece_per_part() -> None:
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
    ("seen", "rest"),
    [
        (["One"], ["Two three"]),
        (["One", "Two"], [" three"]),
        (["One", "Two", " three"], []),
        (["Something else"], []),
    ],
)
async def test_a_slow_follower_gets_the_rest_from_the_state_when_the_log_is_gone(
    seen: list[str], rest: list[str]
) -> None:
    harness = a_harness(InstantModel("One", "Two", " three"))
    started = await harness.send()
    end = await harness.end_of(started)
    harness.clock.advance(KEPT_AFTER_END)

    batch = await harness.follow.read(started.turn_ref, numbered(*seen), AT_ONCE)

    assert batch == batch_of(*rest, first=len(seen) + 1, end=end)


async def test_a_failure_without_a_log_still_ends_with_its_code() -> None:
    harness = a_harness(InstantModel(error=ModelTimedOut()))
    started = await harness.send()
    end = await harness.end_of(started)
    harness.clock.advance(KEPT_AFTER_END)

    assert end.error == "model_timeout"
    assert await harness.whole_turn(started) == Batch(end=end)


async def test_a_turn_that_a_newer_one_replaced_is_superseded() -> None:
    harness = a_harness()
    first = await harness.send()
    await harness.whole_turn(first)
    await harness.whole_turn(await harness.send("Two", session_id=first.conversation.id))

    assert await harness.whole_turn(first) == Batch(end=SUPERSEDED)


async def test_another_owners_conversation_looks_like_a_missing_one() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    (await fake_model.next_reply()).send_text("Secret")

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

    batch = await harness.follow.read(started.turn_ref, (), timedelta(seconds=10))

    assert batch == Batch()
    assert harness.clock.monotonic() - before == TurnPolicy().heartbeat
