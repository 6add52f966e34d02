"""Following a turn after its log is gone: the state tells the same."""

from datetime import timedelta

import pytest

from domain.model.message import FinishReason
from domain.model.piece import NumberedPiece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome, TurnEnd, TurnPolicy
from ports.language_model import ModelTimedOut
from tests.support.builders import OTHER_ID, OWNER, STRANGER, turn_id
from tests.support.fake_model import Puppet
from tests.support.fakes import USAGE, Saying
from tests.support.harness import a_room

AT_ONCE = timedelta()
KEPT_AFTER_END = timedelta(minutes=1)
GONE = TurnEnd(outcome=Outcome.GONE, error="conversation_gone")
SUPERSEDED = TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded")
CALL = ToolCallPiece(call_id="c", name="look", arguments="{}")


async def test_any_number_may_follow_from_anywhere() -> None:
    room = a_room(Saying("One", "Two", "Three"))
    started = await room.send()
    whole = await room.whole_turn(started)

    session_id, turn = started.conversation.id, started.turn.id
    pieces = [one for one in whole if isinstance(one, NumberedPiece)]
    tails = [await room.follow.read(OWNER, session_id, turn, pieces[:n], AT_ONCE) for n in range(4)]

    assert tails == [whole[0:], whole[1:], whole[2:], whole[3:]]


async def test_a_finished_reply_is_told_one_piece_a_part_when_its_log_is_gone() -> None:
    room = a_room(Saying(ReasoningPiece("Hm"), "Hi", " there", CALL))
    started = await room.send()
    await room.whole_turn(started)
    room.clock.advance(KEPT_AFTER_END)

    stored = await room.stored(started.conversation.id)
    assert await room.whole_turn(started) == [
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
    room = a_room(Saying("One", "Two", " three"))
    started = await room.send()
    end = await room.end_of(started)
    room.clock.advance(KEPT_AFTER_END)

    session_id, turn = started.conversation.id, started.turn.id
    pieces = [NumberedPiece(number, TextPiece(text)) for number, text in enumerate(heard, 1)]
    told = await room.follow.read(OWNER, session_id, turn, pieces, AT_ONCE)

    first = len(heard) + 1
    assert list(told[:-1]) == [NumberedPiece(n, TextPiece(s)) for n, s in enumerate(rest, first)]
    assert told[-1] == end


async def test_a_failure_is_told_also_when_its_log_is_gone() -> None:
    room = a_room(Saying(error=ModelTimedOut()))
    started = await room.send()
    end = await room.end_of(started)
    room.clock.advance(KEPT_AFTER_END)

    assert end.error == "model_timeout"
    assert await room.whole_turn(started) == [end]


async def test_a_turn_another_took_the_place_of_is_superseded() -> None:
    room = a_room()
    first = await room.send()
    await room.whole_turn(first)
    await room.whole_turn(await room.send("Two", session_id=first.conversation.id))

    assert await room.whole_turn(first) == [SUPERSEDED]


async def test_strangers_and_the_absent_are_told_the_same() -> None:
    puppet = Puppet()
    room = a_room(puppet)
    started = await room.send()
    (await puppet.asked()).say("Secret")

    session_id, turn = started.conversation.id, started.turn.id
    assert await room.follow.running(STRANGER, session_id) is None
    assert await room.follow.running(OWNER, OTHER_ID) is None
    assert await room.follow.read(STRANGER, session_id, turn, (), AT_ONCE) == (GONE,)
    assert await room.follow.read(OWNER, OTHER_ID, turn_id(), (), AT_ONCE) == (GONE,)


async def test_an_open_turn_without_a_log_is_waited_for() -> None:
    room = a_room(Puppet())
    started = await room.send()
    room.log.forget(started.conversation.id)
    before = room.clock.monotonic()

    session_id, turn = started.conversation.id, started.turn.id
    heard = await room.follow.read(OWNER, session_id, turn, (), timedelta(seconds=10))

    assert heard == ()
    assert room.clock.monotonic() - before == TurnPolicy().heartbeat
