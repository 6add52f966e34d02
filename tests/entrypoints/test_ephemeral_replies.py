"""Replies of which nothing is stored: they count as turns, are reported, and always end."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from domain.model.errors import NothingToAnswer
from domain.model.message import Role, TextPart
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt
from domain.model.turn import Outcome, TurnEnd
from entrypoints.usecases.create_response import InputItem, ResponseRequest
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from ports.errors import ShuttingDown, TooManyTurns
from ports.language_model import FailureDetails, ModelBusy
from ports.turn_log import Batch
from tests.support.builders import OWNER, numbered
from tests.support.fake_model import InstantModel
from tests.support.harness import PAYER, WHEN_IT_COMES, Harness, a_harness

HELLO = ResponseRequest(
    inputs=(InputItem(role=Role.USER, parts=(TextPart("Hello?"),)),), payer=PAYER
)
AT_ONCE = timedelta()


class Waiting:
    """A model that says one thing and then nothing more."""

    name = "waiting"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:  # noqa: ARG002 - the port's
        yield TextPiece("Hm")
        await asyncio.Event().wait()


async def start(harness: Harness, wait: timedelta = WHEN_IT_COMES) -> AsyncGenerator[Batch, None]:
    ephemeral_reply = harness.container.resolve(EphemeralReply)
    return await ephemeral_reply.start(await ephemeral_reply.prepare(OWNER, HELLO), HELLO, wait)


async def whole(harness: Harness) -> Batch:
    async with asyncio.timeout(10):
        batches = [batch async for batch in await start(harness)]
    return Batch(pieces=[one for batch in batches for one in batch.pieces], end=batches[-1].end)


async def test_a_failure_is_reported_with_what_the_model_server_answered() -> None:
    failure = ModelBusy()
    failure.details = FailureDetails(status=429, provider_code="insufficient_quota")
    harness = a_harness(InstantModel(error=failure))

    await whole(harness)

    [fields] = harness.telemetry.fields_of("turn.failed")
    assert (fields["kept"], fields["status"], fields["provider_code"]) == (
        *(False, 429),
        "insufficient_quota",
    )


async def test_it_ends_when_the_model_finishes_and_is_reported_as_not_kept() -> None:
    harness = a_harness(InstantModel("Hel", "lo"))
    reply = await whole(harness)

    assert reply.pieces == tuple(numbered("Hel", "lo"))
    assert reply.end is not None
    assert reply.end.outcome is Outcome.FINISHED
    [(event, facts)] = harness.telemetry.emitted
    assert (event, facts["kept"], facts["output_tokens"]) == ("turn.finished", False, 3)


@pytest.mark.parametrize(
    ("error", "code"), [(ModelBusy(), "model_busy"), (KeyError("Hello?"), "internal_error")]
)
async def test_it_fails_with_the_error_code_and_no_text(error: Exception, code: str) -> None:
    harness = a_harness(InstantModel("Hel", error=error))
    end = (await whole(harness)).end

    assert end == TurnEnd(outcome=Outcome.FAILED, error=code)
    assert "Hello?" not in repr(harness.telemetry.emitted)


async def test_a_silent_model_gives_empty_batches() -> None:
    batches = await start(a_harness(Waiting()), wait=timedelta(milliseconds=1))
    async with asyncio.timeout(10):
        while not (await anext(batches)).is_empty:
            pass
    await batches.aclose()


async def test_it_counts_among_the_turns_that_run_at_once() -> None:
    harness = a_harness(Waiting(), max_turns=1)
    batches = await start(harness)
    await anext(batches)

    with pytest.raises(TooManyTurns):
        await start(harness)
    await batches.aclose()


async def test_it_ends_with_the_service() -> None:
    harness = a_harness(Waiting())
    batches = await start(harness)
    await anext(batches)
    async with asyncio.timeout(10):
        await harness.runner.drain(AT_ONCE, timedelta(minutes=1))

    assert await anext(batches) == Batch(end=TurnEnd(outcome=Outcome.INTERRUPTED))
    with pytest.raises(ShuttingDown):
        await start(harness)


async def test_it_ends_also_when_its_task_is_cancelled() -> None:
    harness = a_harness(Waiting())
    batches = await start(harness)
    await anext(batches)
    await harness.runner.drain(AT_ONCE, AT_ONCE)

    async with asyncio.timeout(10):
        assert await anext(batches) == Batch(end=TurnEnd(outcome=Outcome.INTERRUPTED))


async def test_without_items_there_is_nothing_to_answer() -> None:
    silent = ResponseRequest(inputs=(), payer=PAYER)

    with pytest.raises(NothingToAnswer):
        await a_harness().container.resolve(EphemeralReply).prepare(OWNER, silent)
