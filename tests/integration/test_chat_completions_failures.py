"""What happens when the model's server fails, and how long it is waited for."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime

import pytest

from domain.model.piece import TextPiece
from ports.model_errors import (
    ContentFiltered,
    ContextExceeded,
    MalformedStream,
    ModelBusy,
    ModelError,
    ModelRejectedCredentials,
    ModelRejectedRequest,
    ModelTimedOut,
    ModelUnavailable,
)
from tests.clocks import NOON, HastyClock
from tests.integration.asking import KEY, PROMPT, QUESTION, SHORT, model_at, patience, said_by
from tests.integration.model_server import (
    DONE,
    Play,
    a_reply,
    delta,
    event,
    finished,
    model_server,
    refusal,
)

TOO_LONG = "This model's maximum context length is 8192 tokens."
REFUSALS = [
    (refusal(401, message="Incorrect API key"), ModelRejectedCredentials),
    (refusal(403, message="No access"), ModelRejectedCredentials),
    (refusal(400, message="bad", code="context_length_exceeded"), ContextExceeded),
    (refusal(400, message=TOO_LONG), ContextExceeded),
    (refusal(400, message="too long", type="exceed_context_size_error"), ContextExceeded),
    (refusal(413, message="large"), ContextExceeded),
    (refusal(400, message="bad", code="content_filter"), ContentFiltered),
    (refusal(400, message="bad", code="content_policy_violation"), ContentFiltered),
    (refusal(400, message="bad"), ModelRejectedRequest),
    (refusal(404, message="no such model"), ModelRejectedRequest),
    (Play(status=400, parts=(b"<html>",)), ModelRejectedRequest),
    (Play(status=302, headers={"location": "http://127.0.0.1:1/"}), ModelRejectedRequest),
]


@pytest.mark.parametrize(("play", "expected"), REFUSALS)
async def test_each_refusal_is_its_own_error_and_not_tried_again(
    play: Play, expected: type[ModelError]
) -> None:
    async with model_server(play) as server, model_at(server.url) as model:
        with pytest.raises(expected):
            await said_by(model)

    assert len(server.bodies) == 1


MALFORMED = [
    Play(parts=(b"<html>a proxy's login page</html>",)),
    Play(parts=(b"data: not json\n\n",)),
    Play(parts=(event({"choices": "none"}),)),
    Play(parts=(delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),)),
    Play(parts=(b"data: " + b"x" * 1_100_000,)),
    Play(parts=(delta(content="Hel"),)),
    Play(parts=(delta(content="Hel"),), breaks_off=True),
]


@pytest.mark.parametrize("play", MALFORMED)
async def test_what_is_no_reply_is_a_malformed_stream_and_not_tried_again(play: Play) -> None:
    async with model_server(play) as server, model_at(server.url) as model:
        with pytest.raises(MalformedStream):
            await said_by(model)

    assert len(server.bodies) == 1


IN_STREAM = [
    ({"message": TOO_LONG}, ContextExceeded),
    ({"message": "slow down", "code": 429}, ModelBusy),
    ({"message": "gone wrong", "code": 502}, ModelUnavailable),
    ("gone wrong", ModelUnavailable),
]


@pytest.mark.parametrize(("error", "expected"), IN_STREAM)
async def test_a_failure_told_within_the_stream_is_an_error_of_its_own(
    error: object, expected: type[ModelError]
) -> None:
    play = Play(parts=(delta(content="Hel"), event({"error": error})))
    async with model_server(play) as server, model_at(server.url) as model:
        with pytest.raises(expected):
            await said_by(model)

    assert len(server.bodies) == 1


async def test_a_reply_filtered_away_as_a_whole_is_an_error() -> None:
    async with (
        model_server(Play(parts=(finished("content_filter"), DONE))) as server,
        model_at(server.url) as model,
    ):
        with pytest.raises(ContentFiltered):
            await said_by(model)


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


async def test_no_failure_repeats_the_prompt_or_the_key() -> None:
    echo = refusal(400, message=f"{QUESTION} {KEY}")
    async with model_server(echo) as server, model_at(server.url) as model:
        with pytest.raises(ModelRejectedRequest) as caught:
            await said_by(model)

    told = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r} {vars(model)}"
    assert "planted" not in told
