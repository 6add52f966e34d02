"""How long a model's server is waited for, and when it is asked again."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime

import pytest

from domain.model.piece import TextPiece
from ports.language_model import (
    ModelBusy,
    ModelError,
    ModelTimedOut,
    ModelUnavailable,
)
from tests.support.clocks import NOON, HastyClock
from tests.support.model_client import PROMPT, SHORT, model_at, patience, said_by
from tests.support.model_server import (
    Play,
    a_reply,
    delta,
    model_server,
    refusal,
)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_or_broken_server_is_asked_twice_more(status: int) -> None:
    failing, clock = refusal(status, message="later"), HastyClock()
    async with (
        model_server(failing, failing, a_reply("Hi")) as server,
        model_at(server.url, clock=clock) as model,
    ):
        said = await said_by(model)

    assert said[0] == TextPiece("Hi")
    assert clock.now() - NOON == timedelta(seconds=2.5)


@pytest.mark.parametrize(("status", "expected"), [(429, ModelBusy), (502, ModelUnavailable)])
async def test_a_server_that_stays_busy_or_broken_is_an_error(
    status: int, expected: type[ModelError]
) -> None:
    async with (
        model_server(*[refusal(status, message="later")] * 4) as server,
        model_at(server.url) as model,
    ):
        with pytest.raises(expected):
            await said_by(model)

    assert len(server.bodies) == 3


@pytest.mark.parametrize("told", ["7", format_datetime(NOON + timedelta(seconds=7), usegmt=True)])
async def test_a_server_that_says_when_to_come_back_is_heard(told: str) -> None:
    clock = HastyClock()
    busy = refusal(429, headers={"retry-after": told}, message="later")
    async with (
        model_server(busy, a_reply("Hi")) as server,
        model_at(server.url, clock=clock) as model,
    ):
        await said_by(model)

    assert clock.now() - NOON == timedelta(seconds=7)


async def test_a_wait_that_is_too_long_is_passed_on_to_the_caller() -> None:
    busy = refusal(429, headers={"retry-after": "3600"}, message="later")
    async with model_server(busy) as server, model_at(server.url) as model:
        with pytest.raises(ModelBusy) as caught:
            await said_by(model)

    assert caught.value.retry_after == timedelta(hours=1)
    assert len(server.bodies) == 1


@pytest.fixture
def deaf() -> Iterator[str]:
    """A port that takes no connection: the queue of those who wait is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}/v1"
        for one in waiting:
            one.close()


async def test_a_connection_that_does_not_come_is_not_waited_for(deaf: str) -> None:
    async with model_at(deaf, patience(connect=SHORT)) as model:
        with pytest.raises(ModelUnavailable):
            await said_by(model)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with model_server() as server:
        url = server.url
    async with model_at(url) as model:
        with pytest.raises(ModelUnavailable):
            await said_by(model)


@pytest.mark.parametrize("parts", [(), (b": ping\n\n",), (delta(role="assistant"),)])
async def test_the_first_piece_is_waited_for_within_bounds(parts: tuple[bytes, ...]) -> None:
    async with (
        model_server(Play(parts=parts, stays_open=True)) as server,
        model_at(server.url, patience(first_piece=SHORT)) as model,
    ):
        with pytest.raises(ModelTimedOut):
            await said_by(model)
        await server.left.wait()

    assert len(server.bodies) == 1


async def test_a_silence_between_two_pieces_has_its_bound() -> None:
    async with (
        model_server(Play(parts=(delta(content="Hel"),), stays_open=True)) as server,
        model_at(server.url, patience(silence=SHORT)) as model,
    ):
        reply = model.reply(PROMPT)
        assert await anext(reply) == TextPiece("Hel")
        async with asyncio.timeout(20):
            with pytest.raises(ModelTimedOut):
                await anext(reply)
            await server.left.wait()
