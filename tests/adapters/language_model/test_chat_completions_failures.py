"""Errors of the model's server."""

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
from tests.support.model_client import KEY, QUESTION, collect_reply, model_at
from tests.support.model_server import (
    DONE,
    ModelResponse,
    an_error,
    delta,
    event,
    finished,
    model_server,
)

TOO_LONG = "This model's maximum context length is 8192 tokens."
ERRORS = [
    (an_error(401, message="Incorrect API key"), ModelRejectedCredentials),
    (an_error(403, message="No access"), ModelRejectedCredentials),
    (an_error(400, message="bad", code="context_length_exceeded"), ContextExceeded),
    (an_error(400, message=TOO_LONG), ContextExceeded),
    (an_error(400, message="too long", type="exceed_context_size_error"), ContextExceeded),
    (an_error(413, message="large"), ContextExceeded),
    (an_error(400, message="bad", code="content_filter"), ContentFiltered),
    (an_error(400, message="bad", code="content_policy_violation"), ContentFiltered),
    (an_error(400, message="bad"), ModelRejectedRequest),
    (an_error(404, message="no such model"), ModelRejectedRequest),
    (ModelResponse(status=400, chunks=(b"<html>",)), ModelRejectedRequest),
    (ModelResponse(status=302, headers={"location": "http://127.0.0.1:1/"}), ModelRejectedRequest),
]


@pytest.mark.parametrize(("response", "expected"), ERRORS)
async def test_each_error_response_has_its_own_exception_and_is_not_retried(
    response: ModelResponse, expected: type[ModelError]
) -> None:
    async with model_server(response) as server, model_at(server.url) as model:
        with pytest.raises(expected):
            await collect_reply(model)

    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": "bad", "code": "context_length_exceeded"}}', ContextExceeded),
        (b'{"error": {"message": "bad", "code": "content_filter"}}', ContentFiltered),
    ],
)
async def test_an_error_body_that_arrives_in_parts_is_read_completely(
    body: bytes, expected: type[ModelError]
) -> None:
    response = ModelResponse(status=400, chunks=(body[:30], None, body[30:]))
    async with model_server(response) as server, model_at(server.url) as model:
        reading = asyncio.create_task(collect_reply(model))
        await server.requested.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        server.resume.set()
        with pytest.raises(expected):
            await reading


MALFORMED = [
    ModelResponse(chunks=(b"<html>a proxy's login page</html>",)),
    ModelResponse(chunks=(b"data: not json\n\n",)),
    ModelResponse(chunks=(event({"choices": "none"}),)),
    ModelResponse(chunks=(delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),)),
    ModelResponse(chunks=(b"data: " + b"x" * 1_100_000,)),
    ModelResponse(chunks=(delta(content="Hel"),)),
    ModelResponse(chunks=(delta(content="Hel"),), aborts=True),
]


@pytest.mark.parametrize("response", MALFORMED)
async def test_a_malformed_stream_is_an_error_and_is_not_retried(response: ModelResponse) -> None:
    async with model_server(response) as server, model_at(server.url) as model:
        with pytest.raises(MalformedStream):
            await collect_reply(model)

    assert len(server.bodies) == 1


STREAM_ERRORS = [
    ({"message": TOO_LONG}, ContextExceeded),
    ({"message": "slow down", "code": 429}, ModelBusy),
    ({"message": "gone wrong", "code": 502}, ModelUnavailable),
    ("gone wrong", ModelUnavailable),
]


@pytest.mark.parametrize(("error", "expected"), STREAM_ERRORS)
async def test_each_error_inside_a_stream_has_its_own_exception(
    error: object, expected: type[ModelError]
) -> None:
    response = ModelResponse(chunks=(delta(content="Hel"), event({"error": error})))
    async with model_server(response) as server, model_at(server.url) as model:
        with pytest.raises(expected):
            await collect_reply(model)

    assert len(server.bodies) == 1


async def test_a_completely_filtered_reply_is_an_error() -> None:
    async with (
        model_server(ModelResponse(chunks=(finished("content_filter"), DONE))) as server,
        model_at(server.url) as model,
    ):
        with pytest.raises(ContentFiltered):
            await collect_reply(model)


DETAILS = [
    (an_error(404, code="model_not_found", type="x"), 404, "model_not_found"),
    (an_error(404, code=None, type="NotFoundError"), 404, "NotFoundError"),
    (an_error(404, code=404, type="not found!"), 404, "404"),
    (an_error(400, code="400", type="no_db_connection"), 400, "no_db_connection"),
    (an_error(429, code="insufficient_quota"), 429, "insufficient_quota"),
    (an_error(400, code="x" * 65), 400, None),
    (an_error(400, code={"a": 1}, type=["b"]), 400, None),
    (ModelResponse(status=400, chunks=(b'[{"error": {"status": "INVALID"}}]',)), 400, "INVALID"),
    (ModelResponse(status=401, chunks=(b"<html>",)), 401, None),
    (ModelResponse(status=302, headers={"location": "http://127.0.0.1:1/"}), 302, None),
    (ModelResponse(chunks=(event({"error": {"code": "overloaded"}}),)), None, "overloaded"),
]


@pytest.mark.parametrize(("response", "status", "code"), DETAILS)
async def test_a_failure_has_the_status_and_the_providers_code(
    response: ModelResponse, status: int | None, code: str | None
) -> None:
    async with (
        model_server(*[response] * 3) as server,
        model_at(server.url) as model,
    ):
        with pytest.raises(ModelError) as caught:
            await collect_reply(model)

    details = caught.value.details
    assert (details.status, details.provider_code) == (status, code)
    assert f"http://{details.host}/v1" == server.url


@pytest.mark.parametrize(
    "code",
    [
        *(KEY, f"wrong-key-{KEY}", "sk-planted", "PLANTED", "planted", "question"),
        *("blocked_word_planted", "BlockedQuestion", "blockedquestion", "no-planted.word"),
    ],
)
async def test_a_code_that_repeats_the_prompt_or_the_key_is_left_out(code: str) -> None:
    responses = an_error(400, code=code), ModelResponse(chunks=(event({"error": {"code": code}}),))
    async with model_server(*responses) as server, model_at(server.url) as model:
        for _ in responses:
            with pytest.raises(ModelError) as caught:
                await collect_reply(model)
            assert caught.value.details.provider_code is None


@pytest.mark.parametrize(
    ("content_type", "reason"), [("text/html", "html"), ("application/json", "not-a-stream")]
)
async def test_a_response_that_is_not_a_stream_says_what_it_is(
    content_type: str, reason: str
) -> None:
    response = ModelResponse(headers={"content-type": content_type}, chunks=(b"{}",))
    async with model_server(response) as server, model_at(server.url) as model:
        with pytest.raises(MalformedStream) as caught:
            await collect_reply(model)

    assert (caught.value.details.status, caught.value.details.reason) == (200, reason)


async def test_no_exception_repeats_the_prompt_or_the_api_key() -> None:
    response = an_error(400, message=f"{QUESTION} {KEY}")
    async with model_server(response) as server, model_at(server.url) as model:
        with pytest.raises(ModelRejectedRequest) as caught:
            await collect_reply(model)

    error = caught.value
    shown = f"{error!r} {error.__cause__!r} {error.__context__!r} {vars(model)}"
    assert "planted" not in shown
