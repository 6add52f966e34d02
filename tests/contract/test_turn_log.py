"""What every turn log promises: see ``ports.turn_log``."""

import pytest

from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.piece import NumberedPiece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome, Turn, TurnEnd
from ports.conversation_store import ConversationStateStore
from ports.errors import TurnLogNotFound
from ports.turn_log import AppendResult, Batch, TurnLog
from tests.support.builders import (
    AT_ONCE,
    END,
    ID,
    OTHER_ID,
    OWNER,
    REF,
    STRANGER,
    batch_of,
    numbered,
    turn_id,
    turn_of,
)
from tests.support.changes import asking, interrupting


async def test_a_turn_that_was_never_opened_has_no_log(log: TurnLog) -> None:
    for reading in (
        log.read(TurnRef(REF, turn_id()), 0, AT_ONCE),
        log.silence(TurnRef(REF, turn_id())),
    ):
        with pytest.raises(TurnLogNotFound):
            await reading


async def test_a_log_is_opened_with_its_turn(log: TurnLog, turn: Turn) -> None:
    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == Batch()


async def test_pieces_of_every_kind_come_back_in_order(log: TurnLog, turn: Turn) -> None:
    pieces = [
        NumberedPiece(1, ReasoningPiece("Hm")),
        NumberedPiece(2, TextPiece("Grüße 🙂")),
        NumberedPiece(3, ToolCallPiece(call_id="c", name="look", arguments="{")),
    ]

    assert await log.append(REF, turn, pieces[:2]) is AppendResult.CONTINUE
    assert await log.append(REF, turn, pieces[2:]) is AppendResult.CONTINUE
    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == Batch(pieces=pieces)


@pytest.mark.parametrize("after", range(6))
async def test_reading_can_begin_after_any_piece(log: TurnLog, turn: Turn, after: int) -> None:
    await log.append(REF, turn, numbered("a", "b", "c"))
    await log.append(REF, turn, numbered("d", "e", first=4))

    assert await log.read(TurnRef(REF, turn.id), after, AT_ONCE) == Batch(
        pieces=numbered(*"abcde")[after:]
    )


async def test_logged_pieces_are_not_added_twice(log: TurnLog, turn: Turn) -> None:
    await log.append(REF, turn, numbered("a", "b"))
    await log.append(REF, turn, numbered("a", "b"))
    await log.append(REF, turn, numbered("a", "b", "c"))

    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("a", "b", "c")


async def test_the_end_is_read_last_and_nothing_is_added_after_it(log: TurnLog, turn: Turn) -> None:
    await log.append(REF, turn, numbered("a"))
    await log.end(REF, turn, END)
    late = await log.append(REF, turn, numbered("late", first=2))
    await log.end(REF, turn, TurnEnd(outcome=Outcome.FAILED, error="late"))

    assert late is AppendResult.SUPERSEDED
    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("a", end=END)
    assert await log.read(TurnRef(REF, turn.id), 2**53, AT_ONCE) == Batch(end=END)


async def test_a_stop_reaches_the_writer_and_its_last_pieces_are_kept(
    log: TurnLog, turn: Turn
) -> None:
    assert await log.stop(TurnRef(REF, turn.id)) is True
    assert await log.stop(TurnRef(REF, turn.id)) is True
    assert await log.append(REF, turn, numbered("last")) is AppendResult.STOPPED
    assert await log.append(REF, turn, []) is AppendResult.STOPPED

    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("last")


async def test_only_a_running_turn_with_this_id_and_owner_is_stopped(
    log: TurnLog, turn: Turn
) -> None:
    assert await log.stop(TurnRef(REF, turn_id(9))) is False
    assert await log.stop(TurnRef(ConversationRef(STRANGER, ID), turn.id)) is False
    assert await log.stop(TurnRef(ConversationRef(OWNER, OTHER_ID), turn.id)) is False
    assert await log.append(REF, turn, []) is AppendResult.CONTINUE
    await log.end(REF, turn, END)

    assert await log.stop(TurnRef(REF, turn.id)) is False


async def test_a_newer_turn_supersedes_an_older_one(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    await log.append(REF, turn, numbered("old"))
    await log.stop(TurnRef(REF, turn.id))
    await store.update(REF, interrupting())
    newer = turn_of(await store.update(REF, asking("And?", 2)))

    assert await log.append(REF, turn, numbered("late", first=2)) is AppendResult.SUPERSEDED
    await log.end(REF, turn, END)
    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn.id), 0, AT_ONCE)
    assert await log.append(REF, newer, numbered("new")) is AppendResult.CONTINUE
    assert await log.read(TurnRef(REF, newer.id), 0, AT_ONCE) == batch_of("new")


async def test_a_late_writer_never_brings_a_forgotten_log_back(
    store: ConversationStateStore, log: TurnLog, turn: Turn
) -> None:
    await log.append(REF, turn, numbered("a"))
    await store.forget(REF)

    assert await log.append(REF, turn, numbered("late", first=2)) is AppendResult.GONE
    assert await log.append(REF, turn, []) is AppendResult.GONE
    await log.end(REF, turn, END)
    with pytest.raises(TurnLogNotFound):
        await log.read(TurnRef(REF, turn.id), 0, AT_ONCE)


async def test_another_owner_finds_no_log(log: TurnLog, turn: Turn) -> None:
    await log.append(REF, turn, numbered("mine"))
    for reading in (
        log.read(TurnRef(ConversationRef(STRANGER, ID), turn.id), 0, AT_ONCE),
        log.silence(TurnRef(ConversationRef(STRANGER, ID), turn.id)),
    ):
        with pytest.raises(TurnLogNotFound):
            await reading

    assert await log.read(TurnRef(REF, turn.id), 0, AT_ONCE) == batch_of("mine")
