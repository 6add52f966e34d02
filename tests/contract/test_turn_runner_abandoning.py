"""Turns whose opening failed: see ``ports.turn_runner``."""

import asyncio

import pytest

from domain.model.conversation import Conversation
from ports.errors import StoreUnavailable
from ports.turn_runner import TurnRunner
from tests.contract.test_turn_runner import Reply, opening
from tests.support.builders import turn_id


async def test_an_opening_with_an_unknown_outcome_is_abandoned_after_the_caller_got_the_error(
    runner: TurnRunner,
) -> None:
    failed, abandoned = asyncio.Event(), asyncio.Event()

    async def away() -> Conversation:
        raise StoreUnavailable("update")

    async def abandoning(_: StoreUnavailable) -> None:
        await failed.wait()
        abandoned.set()

    with pytest.raises(StoreUnavailable):
        await runner.run(turn_id(), away, Reply(), abandoning)
    failed.set()

    await asyncio.wait_for(abandoned.wait(), 20)


async def test_an_opening_that_was_refused_leaves_nothing_to_abandon(runner: TurnRunner) -> None:
    abandoned: list[str] = []

    async def refused() -> Conversation:
        raise ValueError("refused")

    async def abandoning(_: StoreUnavailable) -> None:
        abandoned.append("abandoned")

    with pytest.raises(ValueError, match="refused"):
        await runner.run(turn_id(), refused, Reply(), abandoning)
    reply = Reply()
    await runner.run(turn_id(2), opening, reply, abandoning)
    reply.may_end.set()

    assert abandoned == []
