"""What a turn counts, from its request to the end of its reply."""

import pytest
from attrs import evolve

from domain.model.errors import TurnInProgress
from domain.model.message import Usage
from domain.model.rate_limits import Charge, Quota, Scope
from entrypoints.usecases.open_turn import OnBusy
from entrypoints.usecases.regenerate import RegenerateRequest
from ports.errors import TooManyRequests
from ports.language_model import ModelUnavailable
from ports.rate_limiter import RateLimiter
from tests.support.builders import OWNER, a_limit
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.harness import PAYER, Harness, a_harness
from tests.support.tool_servers import (
    ScriptedToolServers,
    SteppingModel,
    WaitingToolServers,
    a_call,
)

OPEN_TURNS = [a_limit(Quota.OPEN_TURNS, 1, Scope.CLIENT_KEY, None)]


async def available(harness: Harness, quota: Quota, most: int) -> int:
    """How much of a quota the payer could still use; uses up nothing."""
    limiter = harness.container.resolve(RateLimiter)
    for amount in range(most, 0, -1):
        charge = Charge(payer=PAYER, amounts={quota: amount})
        try:
            await limiter.consume(charge)
        except TooManyRequests:
            continue
        await limiter.settle(evolve(charge, amounts={quota: -amount}))
        return amount
    return 0


def with_limit(quota: Quota, amount: int, model: InstantModel | None = None) -> Harness:
    return a_harness(model, limits=[a_limit(quota, amount)])


async def test_reported_tokens_are_counted() -> None:
    harness = with_limit(Quota.TOKENS, 50, InstantModel("Hi!"))
    started = await harness.send()
    usage = (await harness.end_of(started)).usage

    assert usage is not None
    spent = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    assert spent > 1
    assert await available(harness, Quota.TOKENS, 50) == 50 - spent


async def test_tokens_that_are_not_reported_are_estimated() -> None:
    harness = with_limit(Quota.TOKENS, 2_000, InstantModel("x" * 900, error=ModelUnavailable()))
    started = await harness.send("y" * 300)
    await harness.end_of(started)

    left = await available(harness, Quota.TOKENS, 2_000)
    assert 2_000 - 600 < left < 2_000 - 400


async def test_the_tokens_of_all_steps_are_counted_also_if_the_last_one_fails() -> None:
    usage = Usage(input_tokens=7, output_tokens=3)
    for failing_step, tokens in ((None, 20), (2, 10)):
        model = SteppingModel([a_call()], usage=usage, failing_step=failing_step)
        limits = [a_limit(Quota.TOKENS, 50)]
        harness = a_harness(model, limits=limits, tool_servers=ScriptedToolServers())
        await harness.end_of(await harness.send())

        assert await available(harness, Quota.TOKENS, 50) == 50 - tokens


async def test_a_reply_that_is_stopped_while_a_tool_runs_costs_the_tokens_until_then() -> None:
    model = SteppingModel([a_call()], usage=Usage(input_tokens=7, output_tokens=3))
    servers = WaitingToolServers()
    harness = a_harness(model, limits=[a_limit(Quota.TOKENS, 50)], tool_servers=servers)
    started = await harness.send()
    await servers.next_call()
    await harness.stop(started.ref)
    await harness.end_of(started)

    assert await available(harness, Quota.TOKENS, 50) == 40


async def test_a_model_that_fails_at_once_costs_no_tokens() -> None:
    harness = with_limit(Quota.TOKENS, 50, InstantModel(error=ModelUnavailable()))
    await harness.end_of(await harness.send())

    assert await available(harness, Quota.TOKENS, 50) == 50


async def test_a_reply_larger_than_what_is_left_is_whole_and_uses_up_what_is_left() -> None:
    harness = with_limit(Quota.STORED_BYTES, 100, InstantModel("x" * 500))
    started = await harness.send("y" * 10)
    await harness.end_of(started)

    assert (await harness.stored(started.conversation.id)).messages[-1].text == "x" * 500
    assert await available(harness, Quota.STORED_BYTES, 100) == 0


async def test_a_message_that_is_refused_gives_its_bytes_back_but_counts() -> None:
    fake_model = FakeModel()
    limits = [a_limit(Quota.STORED_BYTES, 100), a_limit(Quota.MESSAGES, 10)]
    harness = a_harness(fake_model, limits=limits)
    first = await harness.send("x" * 10)
    await fake_model.next_reply()
    with pytest.raises(TurnInProgress):
        await harness.send("y" * 10, session_id=first.conversation.id)

    assert await available(harness, Quota.STORED_BYTES, 100) == 90
    assert await available(harness, Quota.MESSAGES, 10) == 8


async def test_a_conversation_that_is_gone_is_replaced_by_one_that_counts_once() -> None:
    limits = [a_limit(Quota.STORED_BYTES, 100), a_limit(Quota.MESSAGES, 10), a_limit(Quota.NEW, 5)]
    harness = a_harness(InstantModel(), limits=limits)
    gone = await harness.send("x" * 10)
    await harness.end_of(gone)
    await harness.forget(gone.ref)
    restarted = await harness.send("y" * 10, session_id=gone.conversation.id)
    await harness.end_of(restarted)

    assert restarted.restarted
    assert await available(harness, Quota.NEW, 5) == 3
    assert await available(harness, Quota.MESSAGES, 10) == 8
    assert await available(harness, Quota.STORED_BYTES, 100) == 80


async def test_an_interrupted_turn_and_the_one_that_interrupts_share_a_place() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model, limits=OPEN_TURNS)
    first = await harness.send()
    await fake_model.next_reply()
    second = await harness.send(
        "Rather", session_id=first.conversation.id, on_busy=OnBusy.INTERRUPT
    )
    with pytest.raises(TooManyRequests):
        await harness.send("Elsewhere")
    reply = await fake_model.next_reply()
    reply.finish()
    await harness.end_of(second)

    await harness.send("Elsewhere")


async def test_a_turn_that_was_not_opened_frees_its_place() -> None:
    harness = a_harness(InstantModel("Hi!"), limits=OPEN_TURNS)
    started = await harness.send()
    await harness.end_of(started)
    missing = RegenerateRequest(session_id=started.conversation.id, payer=PAYER)
    await harness.forget(started.ref)
    for _ in range(2):
        with pytest.raises(Exception, match="no such conversation"):
            await harness.regenerate(OWNER, missing)

    await harness.send()
