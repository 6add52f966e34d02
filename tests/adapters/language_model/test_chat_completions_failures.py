"""What happens when the model's server fails."""

import asyncio

import pytest

from ports.language_model import (
    ContentFiltered,
    ContextExceeded,
    MalformedStream,
    ModelBusy,
    ModelError,
    ModelRejectedCredentials,
    ModelRejectedRequest,
    ModelUnavailable,
)
from tests.support.model_client import KEY, QUESTION, model_at, said_by
from tests.support.model_server import (
    DONE,
    Play,
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


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": "bad", "code": "context_length_exceeded"}}', ContextExceeded),
        (b'{"error": {"message": "bad", "code": "content_filter"}}', ContentFiltered),
    ],
)
async def test_a_refusal_that_comes_in_parts_is_read_to_its_end(
    body: bytes, expected: type[ModelError]
) -> None:
    play = Play(status=400, parts=(body[:30], None, body[30:]))
    async with model_server(play) as server, model_at(server.url) as model:
        asking = asyncio.create_task(said_by(model))
        await server.asked.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        server.go_on.set()
        with pytest.raises(expected):
            await asking


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


async def test_no_failure_repeats_the_prompt_or_the_key() -> None:
    echo = refusal(400, message=f"{QUESTION} {KEY}")
    async with model_server(echo) as server, model_at(server.url) as model:
        with pytest.raises(ModelRejectedRequest) as caught:
            await said_by(model)

    told = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r} {vars(model)}"
    assert "planted" not in told
