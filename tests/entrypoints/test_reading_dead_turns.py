"""Turns whose process died, as their readers see them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import TurnInProgress
from domain.model.message import Role, TextPart
from domain.model.turn import TurnPolicy, TurnStatus
from entrypoints.usecases.conversations import ReadHistory
from entrypoints.usecases.create_response import InputItem, ResponseRequest
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from ports.errors import StoreUnavailable
from ports.turn_log import Batch
from tests.support.builders import ID, OWNER, REF, texts_of
from tests.support.dead_turns import a_dead_turn
from tests.support.harness import PAYER

POLICY = TurnPolicy()
A_MOMENT = timedelta(milliseconds=1)


async def _newest_page(history: ReadHistory, before: int | None = None) -> Conversation:
    return (await history(REF, before=before, limit=10)).conversation


READERS: dict[str, Callable[[ReadHistory], Awaitable[Conversation]]] = {
    "page": _newest_page,
    "older page": lambda history: _newest_page(history, before=2),
    "whole": lambda history: history.whole(REF),
    "after a turn": lambda history: history.after_turn(REF, 1),
}


@pytest.mark.parametrize("reader", READERS)
async def test_who_reads_a_dead_turn_settles_it(reader: str) -> None:
    harness = await a_dead_turn("Half", " of")
    harness.clock.advance(POLICY.dead_after)

    read = await READERS[reader](harness.history)

    assert (read.open_turn, read.turn and read.turn.status) == (None, TurnStatus.INTERRUPTED)
    assert texts_of(read)[-1] == "Half of"
    assert texts_of(await harness.stored(ID)) == ["Hello?", "Half of"]
    assert harness.telemetry.events == ["turn.settled"]


@pytest.mark.parametrize("reader", READERS)
async def test_a_slow_turn_is_not_settled_by_its_readers(reader: str) -> None:
    harness = await a_dead_turn("Half", " of")
    harness.clock.advance(POLICY.dead_after - A_MOMENT)

    read = await READERS[reader](harness.history)

    assert read.open_turn is not None


async def test_a_dead_turn_cannot_be_resumed() -> None:
    harness = await a_dead_turn("Half")
    before = await harness.history.open_turn(REF)
    harness.clock.advance(POLICY.dead_after)

    assert before is not None
    assert await harness.history.open_turn(REF) is None


async def test_an_unstored_response_can_continue_a_dead_turn() -> None:
    harness = await a_dead_turn("Half")
    item = InputItem(role=Role.USER, parts=(TextPart("And?"),))
    request = ResponseRequest(inputs=(item,), payer=PAYER, session_id=ID, after_turn=1)
    prepare = harness.container.resolve(EphemeralReply).prepare
    with pytest.raises(TurnInProgress):
        await prepare(OWNER, request)
    harness.clock.advance(POLICY.dead_after)

    assert texts_of((await prepare(OWNER, request)).conversation) == ["Hello?", "Half", "And?"]


async def test_a_dead_turn_is_stopped_by_settling_it() -> None:
    harness = await a_dead_turn("Half")
    harness.clock.advance(POLICY.dead_after)

    assert await harness.stop(REF)
    assert texts_of(await harness.stored(ID)) == ["Hello?", "Half"]


async def test_readers_see_a_dead_turn_as_settled_while_nothing_can_be_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = await a_dead_turn("Half", " of")
    harness.clock.advance(POLICY.dead_after)

    async def update(*_: object, **__: object) -> Conversation:
        raise StoreUnavailable("update")

    monkeypatch.setattr(harness.store, "update", update)
    read = await harness.history(REF, limit=1)

    assert texts_of(read.conversation) == ["Half of"]
    assert (read.conversation.open_turn, read.page.next) == (None, 2)
    assert (await harness.stored(ID)).open_turn is not None


async def test_a_log_that_cannot_be_read_hides_no_conversation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = await a_dead_turn("Half")

    async def read(*_: object, **__: object) -> Batch:
        raise StoreUnavailable("read")

    monkeypatch.setattr(harness.log, "read", read)

    assert texts_of(await harness.history.whole(REF)) == ["Hello?"]


async def test_two_who_settle_at_once_report_it_once() -> None:
    harness = await a_dead_turn("Half")
    harness.clock.advance(POLICY.dead_after)

    await asyncio.gather(harness.history.whole(REF), harness.history.whole(REF))

    assert harness.telemetry.events == ["turn.settled"]
