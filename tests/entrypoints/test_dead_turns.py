"""Turns whose process died: who settles them, and with what."""

from datetime import timedelta

import pytest

from domain.model.errors import TurnInProgress
from domain.model.identifiers import ProcessId, SessionId, TurnRef
from domain.model.message import MessageStatus
from domain.model.turn import IdempotencyKey, Outcome, TurnEnd, TurnPolicy
from entrypoints.usecases.dead_turns import SettleTurn
from entrypoints.usecases.open_turn import OnBusy
from ports.turn_log import Batch
from tests.support.builders import (
    ID,
    PROCESS,
    REF,
    numbered,
    texts_of,
    turn_id,
)
from tests.support.dead_turns import DYING, a_dead_turn
from tests.support.fake_model import FakeModel
from tests.support.harness import WHEN_IT_COMES, Harness, a_harness

POLICY = TurnPolicy()
HALF = numbered("Half")
KEY = IdempotencyKey(digest=b"key", body_digest=b"body")
A_MOMENT = timedelta(milliseconds=1)
AT_ONCE = timedelta()
ABANDONED = TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_abandoned")


async def test_the_next_writer_settles_a_dead_turn_with_its_pieces() -> None:
    harness = await a_dead_turn("Half", " of")
    harness.clock.advance(POLICY.dead_after)

    await harness.whole_turn(await harness.send("Still there?", session_id=ID))

    stored = await harness.stored(ID)
    assert texts_of(stored) == ["Hello?", "Half of", "Still there?", "Hi!"]
    assert stored.messages[1].status is MessageStatus.INTERRUPTED
    assert harness.telemetry.emitted[0] == ("turn.settled", {"session_id": ID, "pieces": 2})


async def test_a_turn_that_has_fallen_silent_says_when_it_counts_as_dead() -> None:
    harness = await a_dead_turn("Half")
    with pytest.raises(TurnInProgress) as running:
        await harness.send("Still there?", session_id=ID)
    silence = 3 * POLICY.heartbeat
    harness.clock.advance(silence)
    with pytest.raises(TurnInProgress) as silent:
        await harness.send("Still there?", session_id=ID)

    assert running.value.retry_after is None
    assert silent.value.retry_after == POLICY.dead_after - silence + 2 * POLICY.heartbeat


async def test_a_turn_without_a_log_may_be_dead() -> None:
    harness = await a_dead_turn()
    harness.log.forget(ID)

    with pytest.raises(TurnInProgress) as silent:
        await harness.send("Still there?", session_id=ID)

    assert silent.value.retry_after == POLICY.dead_after + 2 * POLICY.heartbeat


@pytest.fixture
async def waited(monkeypatch: pytest.MonkeyPatch) -> Harness:
    """A harness with a turn that has just died, in which waiting takes no time."""
    harness = await a_dead_turn("Half")
    read = harness.log.read

    async def advance_and_read(turn_ref: TurnRef, after: int, wait: timedelta) -> Batch:
        harness.clock.advance(wait)
        return await read(turn_ref, after, AT_ONCE)

    monkeypatch.setattr(harness.log, "read", advance_and_read)
    return harness


async def test_no_client_waits_in_silence_for_a_turn_that_may_be_dead(waited: Harness) -> None:
    began = waited.clock.monotonic()
    with pytest.raises(TurnInProgress) as busy:
        await waited.send("Still there?", session_id=ID, on_busy=OnBusy.INTERRUPT)

    assert waited.clock.monotonic() - began <= timedelta(seconds=4)
    assert busy.value.retry_after is not None


async def test_a_client_that_can_be_told_waits_until_the_turn_is_settled(waited: Harness) -> None:
    began = waited.clock.monotonic()
    told_after: list[timedelta] = []

    def on_wait(session_id: SessionId) -> None:
        assert session_id == ID
        told_after.append(waited.clock.monotonic() - began)

    started = await waited.send(
        "Still there?", session_id=ID, on_busy=OnBusy.INTERRUPT, on_wait=on_wait
    )

    assert told_after == [POLICY.silent_wait]
    assert texts_of(started.conversation) == ["Hello?", "Half", "Still there?"]


async def test_a_lost_log_is_silent_from_when_it_was_first_seen_missing() -> None:
    harness = await a_dead_turn()
    harness.log.forget(ID)
    with pytest.raises(TurnInProgress):
        await harness.send("Still there?", session_id=ID)
    harness.clock.advance(POLICY.dead_after - A_MOMENT)
    with pytest.raises(TurnInProgress):
        await harness.send("Still there?", session_id=ID)
    harness.clock.advance(A_MOMENT)

    await harness.whole_turn(await harness.send("Still there?", session_id=ID))

    assert texts_of(await harness.stored(ID)) == ["Hello?", "Still there?", "Hi!"]


async def test_a_log_that_was_read_again_is_missing_anew_afterwards() -> None:
    harness = await a_dead_turn("Half")
    harness.log.forget(ID)
    with pytest.raises(TurnInProgress):
        await harness.send("Still there?", session_id=ID)
    await harness.store.ensure_log(TurnRef(REF, turn_id()))
    turn = (await harness.stored(ID)).open_turn
    assert turn is not None
    await harness.log.append(REF, turn, HALF)
    await harness.follow.read(TurnRef(REF, turn_id()), (), AT_ONCE)
    harness.clock.advance(POLICY.dead_after)
    harness.log.forget(ID)

    assert await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE) == Batch()


async def test_a_log_is_never_missing_for_longer_than_the_logs_were_in_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = await a_dead_turn("Half")
    harness.log.forget(ID)
    await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE)
    harness.clock.advance(2 * POLICY.dead_after)
    monkeypatch.setattr(harness.log, "healthy_for", lambda: POLICY.dead_after - A_MOMENT)
    before = await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE)
    monkeypatch.setattr(harness.log, "healthy_for", lambda: POLICY.dead_after)

    assert before == Batch()
    assert await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE) == Batch(end=ABANDONED)


async def test_a_retry_of_a_turn_that_died_without_a_piece_is_answered() -> None:
    harness = await a_dead_turn(request=KEY)
    waiting = await harness.send("Hello?", session_id=ID, idempotency=KEY)
    harness.clock.advance(POLICY.dead_after)
    retried = await harness.send("Hello?", session_id=ID, idempotency=KEY)
    await harness.whole_turn(retried)

    assert (waiting.turn.id, retried.turn.id == turn_id()) == (turn_id(), False)
    assert texts_of(await harness.stored(ID)) == ["Hello?", "Hi!"]


async def test_a_retry_of_a_turn_that_died_with_pieces_plays_them_again() -> None:
    harness = await a_dead_turn("Half", request=KEY)
    harness.clock.advance(POLICY.dead_after)
    retried = await harness.send("Hello?", session_id=ID, idempotency=KEY)
    end = await harness.end_of(retried)

    assert retried.turn.id == turn_id()
    assert end.outcome is Outcome.INTERRUPTED
    assert texts_of(await harness.stored(ID)) == ["Hello?", "Half"]


@pytest.mark.parametrize("on_busy", OnBusy)
async def test_an_unsaved_reply_is_settled_by_the_next_writer_at_once(
    on_busy: OnBusy,
) -> None:
    harness = await a_dead_turn("Half")
    turn = (await harness.stored(ID)).turn
    assert turn is not None
    await harness.log.end(REF, turn, TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved"))

    await harness.whole_turn(await harness.send("Still there?", session_id=ID, on_busy=on_busy))

    assert texts_of(await harness.stored(ID)) == ["Hello?", "Half", "Still there?", "Hi!"]


async def test_a_slow_turn_is_not_settled() -> None:
    harness = await a_dead_turn("Half")
    harness.clock.advance(POLICY.dead_after - A_MOMENT)

    with pytest.raises(TurnInProgress) as busy:
        await harness.send("Still there?", session_id=ID)

    assert busy.value.turn_id == turn_id()
    assert texts_of(await harness.stored(ID)) == ["Hello?"]


async def test_followers_of_a_dead_turn_learn_that_it_was_abandoned() -> None:
    harness = await a_dead_turn("Half")
    first = await harness.follow.read(TurnRef(REF, turn_id()), (), AT_ONCE)
    harness.clock.advance(POLICY.dead_after - A_MOMENT)
    before = await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE)
    harness.clock.advance(A_MOMENT)

    after = await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE)

    assert first == Batch(pieces=HALF)
    assert (before, after) == (Batch(), Batch(end=ABANDONED))


@pytest.mark.parametrize("process", [DYING, PROCESS])
async def test_while_the_store_restarts_again_and_again_the_lease_of_its_process_decides(
    monkeypatch: pytest.MonkeyPatch, process: ProcessId
) -> None:
    harness = await a_dead_turn("Half")
    monkeypatch.setattr(harness.log, "healthy_for", lambda: POLICY.dead_after - A_MOMENT)
    monkeypatch.setattr(harness.lease, "has_ended", lambda asked: asked == process)
    sending = harness.send("Still there?", session_id=ID)
    seen = await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE)

    if process is PROCESS:
        assert seen == Batch()
        with pytest.raises(TurnInProgress):
            await sending
    else:
        assert seen == Batch(end=ABANDONED)
        await harness.whole_turn(await sending)
        assert texts_of(await harness.stored(ID))[:3] == ["Hello?", "Half", "Still there?"]


async def test_to_follow_a_turn_that_runs_here_needs_no_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = FakeModel()
    harness = a_harness(model)
    started = await harness.send("Hello?")
    (await model.next_reply()).send_text("Half")
    harness.store.become_unavailable(POLICY.dead_after)
    monkeypatch.setattr(harness.log, "healthy_for", lambda: AT_ONCE)
    first = await harness.follow.read(started.turn_ref, (), WHEN_IT_COMES)

    assert first.pieces == tuple(HALF)
    assert await harness.follow.read(started.turn_ref, HALF, AT_ONCE) == Batch()
    await harness.runner.drain(AT_ONCE, AT_ONCE)


async def test_the_lease_decides_even_if_the_log_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = await a_dead_turn()
    harness.log.forget(ID)
    monkeypatch.setattr(harness.log, "healthy_for", lambda: AT_ONCE)
    monkeypatch.setattr(harness.lease, "has_ended", lambda asked: asked == DYING)

    await harness.whole_turn(await harness.send("Still there?", session_id=ID))

    assert texts_of(await harness.stored(ID)) == ["Hello?", "Still there?", "Hi!"]


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_turn_is_dead_only_if_it_is_still_silent_after_two_heartbeats(
    monkeypatch: pytest.MonkeyPatch, *, is_written: bool
) -> None:
    harness = await a_dead_turn("Half")
    turn = (await harness.stored(ID)).open_turn
    assert turn is not None
    harness.clock.advance(POLICY.dead_after)  # As a step of the store's clock does.
    sleep = harness.clock.sleep

    async def sleep_and_write(duration: timedelta) -> None:
        await sleep(duration)
        if is_written:
            await harness.log.append(REF, turn, ())

    monkeypatch.setattr(harness.clock, "sleep", sleep_and_write)
    seen = await harness.follow.read(TurnRef(REF, turn_id()), HALF, AT_ONCE)

    assert seen == (Batch() if is_written else Batch(end=ABANDONED))


async def test_a_writer_is_not_held_up_by_whoever_settles_the_turn_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = await a_dead_turn("Half")
    harness.clock.advance(POLICY.dead_after)
    sleep = harness.clock.sleep
    settled_by_another: list[MessageStatus] = []

    async def sleep_while_another_settles(_: timedelta) -> None:
        monkeypatch.setattr(harness.clock, "sleep", sleep)
        conversation = await harness.container.resolve(SettleTurn).load(REF)
        settled_by_another.append(conversation.messages[-1].status)

    monkeypatch.setattr(harness.clock, "sleep", sleep_while_another_settles)
    await harness.whole_turn(await harness.send("Still there?", session_id=ID))

    assert settled_by_another == [MessageStatus.INTERRUPTED]
    assert texts_of(await harness.stored(ID)) == ["Hello?", "Half", "Still there?", "Hi!"]
