"""How long the client waits for a model's server, and when it retries."""

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
from tests.support.model_client import PROMPT, SHORT, collect_reply, model_at, timeouts
from tests.support.model_server import (
    ModelResponse,
    a_reply,
    an_error,
    delta,
    model_server,
)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_request_to_a_busy_or_failing_server_is_retried_twice(status: int) -> None:
    error, clock = an_error(status, message="later"), HastyClock()
    async with (
        model_server(error, error, a_reply("Hi")) as server,
        model_at(server.url, clock=clock) as model,
    ):
        reply = await collect_reply(model)

    assert reply[0] == TextPiece("Hi")
    assert clock.now() - NOON == timedelta(seconds=2.5)


@pytest.mark.parametrize(("status", "expected"), [(429, ModelBusy), (502, ModelUnavailable)])
async def test_a_server_that_stays_busy_or_failing_is_an_error(
    status: int, expected: type[ModelError]
) -> None:
    async with (
        model_server(*[an_error(status, message="later")] * 4) as server,
        model_at(server.url) as model,
    ):
        with pytest.raises(expected):
            await collect_reply(model)

    assert len(server.bodies) == 3


@pytest.mark.parametrize("value", ["7", format_datetime(NOON + timedelta(seconds=7), usegmt=True)])
async def test_the_pause_before_a_retry_follows_retry_after(value: str) -> None:
    clock = HastyClock()
    busy = an_error(429, headers={"retry-after": value}, message="later")
    async with (
        model_server(busy, a_reply("Hi")) as server,
        model_at(server.url, clock=clock) as model,
    ):
        await collect_reply(model)

    assert clock.now() - NOON == timedelta(seconds=7)


async def test_a_retry_after_beyond_the_timeout_is_raised_to_the_caller() -> None:
    busy = an_error(429, headers={"retry-after": "3600"}, message="later")
    async with model_server(busy) as server, model_at(server.url) as model:
        with pytest.raises(ModelBusy) as caught:
            await collect_reply(model)

    assert caught.value.retry_after == timedelta(hours=1)
    assert len(server.bodies) == 1


@pytest.fixture
def unaccepting_url() -> Iterator[str]:
    """A port whose backlog is full, so that no further connection is accepted."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}/v1"
        for client in clients:
            client.close()


async def test_the_connect_timeout_ends_in_model_unavailable(unaccepting_url: str) -> None:
    async with model_at(unaccepting_url, timeouts(connect=SHORT)) as model:
        with pytest.raises(ModelUnavailable):
            await collect_reply(model)


async def test_a_refused_connection_ends_in_model_unavailable() -> None:
    async with model_server() as server:
        url = server.url
    async with model_at(url) as model:
        with pytest.raises(ModelUnavailable):
            await collect_reply(model)


@pytest.mark.parametrize("chunks", [(), (b": ping\n\n",), (delta(role="assistant"),)])
async def test_the_wait_for_the_first_piece_is_limited(chunks: tuple[bytes, ...]) -> None:
    async with (
        model_server(ModelResponse(chunks=chunks, hangs=True)) as server,
        model_at(server.url, timeouts(first_piece=SHORT)) as model,
    ):
        with pytest.raises(ModelTimedOut):
            await collect_reply(model)
        await server.disconnected.wait()

    assert len(server.bodies) == 1


async def test_the_silence_between_two_pieces_is_limited() -> None:
    async with (
        model_server(ModelResponse(chunks=(delta(content="Hel"),), hangs=True)) as server,
        model_at(server.url, timeouts(silence=SHORT)) as model,
    ):
        reply = model.reply(PROMPT)
        assert await anext(reply) == TextPiece("Hel")
        async with asyncio.timeout(20):
            with pytest.raises(ModelTimedOut):
                await anext(reply)
            await server.disconnected.wait()
