"""Turns whose process has died: who settles them, and what becomes of them."""

from datetime import timedelta

import pytest

from domain.model.errors import TurnInProgress
from domain.model.message import MessageStatus, TextPart
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import IdempotencyKey, Outcome, TurnEnd, TurnPolicy
from domain.service.turn_lifecycle import add_user_message
from entrypoints.usecases.open_turn import OnBusy
from tests.support.builders import (
    ID,
    OWNER,
    a_conversation,
    a_new_turn,
    question_id,
    texts_of,
    turn_id,
)
from tests.support.clocks import ManualClock
from tests.support.harness import Room, a_room

POLICY = TurnPolicy()
HALF = [NumberedPiece(1, TextPiece("Half"))]
KEY = IdempotencyKey(digest=b"key", body_digest=b"body")
A_MOMENT = timedelta(milliseconds=1)
AT_ONCE = timedelta()
ABANDONED = TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned")


async def a_dead_turn(*texts: str, request: IdempotencyKey | None = None) -> Room:
    """A room in which a process died after it had logged ``texts``."""
    room = a_room(clock=ManualClock())
    opening = a_new_turn(idempotency=request)
    conversation = add_user_message(a_conversation(), opening, question_id(), (TextPart("Hello?"),))
    await room.store.create(OWNER, conversation)
    pieces = [NumberedPiece(number, TextPiece(text)) for number, text in enumerate(texts, 1)]
    assert conversation.turn is not None
    await room.log.append(OWNER, ID, conversation.turn, pieces)
    return room


async def test_the_next_writer_settles_a_dead_turn_with_its_pieces() -> None:
    room = await a_dead_turn("Half", " of")
    room.clock.advance(POLICY.dead_after)

    await room.whole_turn(await room.send("Still there?", session_id=ID))

    stored = await room.stored(ID)
    assert texts_of(stored) == ["Hello?", "Half of", "Still there?", "Hi!"]
    assert stored.messages[1].status is MessageStatus.INTERRUPTED
    assert room.telemetry.emitted[0] == ("turn.settled", {"session_id": ID, "pieces": 2})


async def test_a_lost_log_is_silent_from_when_it_was_first_seen_missing() -> None:
    room = await a_dead_turn()
    room.log.forget(ID)
    with pytest.raises(TurnInProgress):
        await room.send("Still there?", session_id=ID)
    room.clock.advance(POLICY.dead_after - A_MOMENT)
    with pytest.raises(TurnInProgress):
        await room.send("Still there?", session_id=ID)
    room.clock.advance(A_MOMENT)

    await room.whole_turn(await room.send("Still there?", session_id=ID))

    assert texts_of(await room.stored(ID)) == ["Hello?", "Still there?", "Hi!"]


async def test_a_log_that_was_read_since_is_not_missing_since_before() -> None:
    room = await a_dead_turn("Half")
    room.log.forget(ID)
    with pytest.raises(TurnInProgress):
        await room.send("Still there?", session_id=ID)
    await room.store.ensure_log(OWNER, ID, turn_id())
    turn = (await room.stored(ID)).open_turn
    assert turn is not None
    await room.log.append(OWNER, ID, turn, HALF)
    await room.follow.read(OWNER, ID, turn_id(), (), AT_ONCE)
    room.clock.advance(POLICY.dead_after)
    room.log.forget(ID)

    assert await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE) == ()


async def test_nothing_is_missing_for_longer_than_the_log_is_in_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = await a_dead_turn("Half")
    room.log.forget(ID)
    await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE)
    room.clock.advance(2 * POLICY.dead_after)
    monkeypatch.setattr(room.log, "healthy_for", lambda: POLICY.dead_after - A_MOMENT)
    before = await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE)
    monkeypatch.setattr(room.log, "healthy_for", lambda: POLICY.dead_after)

    assert before == ()
    assert await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE) == (ABANDONED,)


async def test_a_retry_of_a_turn_that_died_without_a_piece_is_answered() -> None:
    room = await a_dead_turn(request=KEY)
    waiting = await room.send("Hello?", session_id=ID, idempotency=KEY)
    room.clock.advance(POLICY.dead_after)
    retried = await room.send("Hello?", session_id=ID, idempotency=KEY)
    await room.whole_turn(retried)

    assert (waiting.turn.id, retried.turn.id == turn_id()) == (turn_id(), False)
    assert texts_of(await room.stored(ID)) == ["Hello?", "Hi!"]


async def test_a_retry_of_a_turn_that_died_with_pieces_plays_them_again() -> None:
    room = await a_dead_turn("Half", request=KEY)
    room.clock.advance(POLICY.dead_after)
    retried = await room.send("Hello?", session_id=ID, idempotency=KEY)
    end = await room.end_of(retried)

    assert retried.turn.id == turn_id()
    assert end.outcome is Outcome.INTERRUPTED
    assert texts_of(await room.stored(ID)) == ["Hello?", "Half"]


@pytest.mark.parametrize("on_busy", OnBusy)
async def test_what_could_not_be_saved_is_settled_by_the_next_writer_at_once(
    on_busy: OnBusy,
) -> None:
    room = await a_dead_turn("Half")
    turn = (await room.stored(ID)).turn
    assert turn is not None
    await room.log.end(OWNER, ID, turn, TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved"))

    await room.whole_turn(await room.send("Still there?", session_id=ID, on_busy=on_busy))

    assert texts_of(await room.stored(ID)) == ["Hello?", "Half", "Still there?", "Hi!"]


async def test_a_turn_that_is_only_slow_is_not_settled() -> None:
    room = await a_dead_turn("Half")
    room.clock.advance(POLICY.dead_after - A_MOMENT)

    with pytest.raises(TurnInProgress) as busy:
        await room.send("Still there?", session_id=ID)

    assert busy.value.turn_id == turn_id()
    assert texts_of(await room.stored(ID)) == ["Hello?"]


async def test_followers_of_a_dead_turn_learn_that_it_was_abandoned() -> None:
    room = await a_dead_turn("Half")
    heard = await room.follow.read(OWNER, ID, turn_id(), (), AT_ONCE)
    room.clock.advance(POLICY.dead_after - A_MOMENT)
    before = await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE)
    room.clock.advance(A_MOMENT)

    after = await room.follow.read(OWNER, ID, turn_id(), HALF, AT_ONCE)

    assert heard == HALF
    assert (before, after) == ([], (ABANDONED,))
