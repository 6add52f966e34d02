"""Following a turn after its log is gone: the state tells the same."""

from datetime import timedelta

import pytest

from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.message import FinishReason
from domain.model.piece import NumberedPiece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from ports.language_model import ModelTimedOut
from tests.support.builders import OTHER_ID, OWNER, STRANGER, turn_id
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
    pieces = [one for one in whole if isinstance(one, NumberedPiece)]
    tails = [
        await harness.follow.read(
            TurnRef(ConversationRef(OWNER, session_id), turn), pieces[:n], AT_ONCE
        )
        for n in range(4)
    ]

    assert tails == [whole[0:], whole[1:], whole[2:], whole[3:]]


async def test_a_finished_reply_is_told_one_piece_a_part_when_its_log_is_gone() -> None:
    harness = a_harness(InstantModel(ReasoningPiece("Hm"), "Hi", " there", CALL))
    started = await harness.send()
    await harness.whole_turn(started)
    harness.clock.advance(KEPT_AFTER_END)

    stored = await harness.stored(started.conversation.id)
    assert await harness.whole_turn(started) == [
        NumberedPiece(1, ReasoningPiece("Hm")),
        NumberedPiece(2, TextPiece("Hi there")),
        NumberedPiece(3, CALL),
        TurnEnd(
            outcome=Outcome.FINISHED,
            finish_reason=FinishReason.STOP,
            usage=USAGE,
            expires_at=stored.expires_at,
        ),
    ]


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
    pieces = [NumberedPiece(number, TextPiece(text)) for number, text in enumerate(heard, 1)]
    told = await harness.follow.read(
        TurnRef(ConversationRef(OWNER, session_id), turn), pieces, AT_ONCE
    )

    first = len(heard) + 1
    assert list(told[:-1]) == [NumberedPiece(n, TextPiece(s)) for n, s in enumerate(rest, first)]
    assert told[-1] == end


async def test_a_failure_is_told_also_when_its_log_is_gone() -> None:
    harness = a_harness(InstantModel(error=ModelTimedOut()))
    started = await harness.send()
    end = await harness.end_of(started)
    harness.clock.advance(KEPT_AFTER_END)

    assert end.error == "model_timeout"
    assert await harness.whole_turn(started) == [end]


async def test_a_turn_another_took_the_place_of_is_superseded() -> None:
    harness = a_harness()
    first = await harness.send()
    await harness.whole_turn(first)
    await harness.whole_turn(await harness.send("Two", session_id=first.conversation.id))

    assert await harness.whole_turn(first) == [SUPERSEDED]


async def test_strangers_and_the_absent_are_told_the_same() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    started = await harness.send()
    (await fake_model.next_reply()).send_text("Secret")

    session_id, turn = started.conversation.id, started.turn.id
    assert await harness.follow.running(ConversationRef(STRANGER, session_id)) is None
    assert await harness.follow.running(ConversationRef(OWNER, OTHER_ID)) is None
    assert await harness.follow.read(
        TurnRef(ConversationRef(STRANGER, session_id), turn), (), AT_ONCE
    ) == (GONE,)
    assert await harness.follow.read(
        TurnRef(ConversationRef(OWNER, OTHER_ID), turn_id()), (), AT_ONCE
    ) == (GONE,)


async def test_an_open_turn_without_a_log_is_waited_for() -> None:
    harness = a_harness(FakeModel())
    started = await harness.send()
    harness.log.forget(started.conversation.id)
    before = harness.clock.monotonic()

    session_id, turn = started.conversation.id, started.turn.id
    heard = await harness.follow.read(
        TurnRef(ConversationRef(OWNER, session_id), turn), (), timedelta(seconds=10)
    )

    assert heard == ()
    assert harness.clock.monotonic() - before == TurnPolicy().heartbeat
