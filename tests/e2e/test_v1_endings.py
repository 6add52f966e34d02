"""How responses end: failed, cut short, asking for tools."""

import asyncio

import pytest

from domain.model.message import FinishReason
from domain.model.piece import ToolCallPiece
from ports.language_model import ModelBusy, ModelUnavailable
from tests.support.event_stream import kinds
from tests.support.fake_model import FakeModel
from tests.support.service import RunningService
from tests.support.v1_client import V1Client, error_of


@pytest.fixture
async def program(service: RunningService) -> V1Client:
    return await V1Client.new(service.url)


@pytest.mark.parametrize("store", [True, False])
async def test_a_model_that_fails_ends_the_stream_with_the_reason(
    program: V1Client, fake_model: FakeModel, *, store: bool
) -> None:
    async with program.asking("One", store=store) as live:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        model_reply.fail(ModelBusy())
        answer = await live.whole()

    failed = answer.events[-2].document["response"]
    assert kinds(answer.events)[-2:] == ["response.failed", "[DONE]"]
    assert failed["error"] == {
        "code": "rate_limit_exceeded",
        "message": "The language model is busy.",
    }
    assert failed["output"][0]["status"] == "incomplete"
    assert answer.clean
    if store:
        assert await program.response(failed["id"]) == failed


async def test_a_model_that_fails_is_an_error_when_nothing_streams(
    program: V1Client, fake_model: FakeModel
) -> None:
    asking = asyncio.create_task(program.ask("One"))
    (await fake_model.next_reply()).fail(ModelUnavailable())
    refused = await asking

    assert (refused.status, error_of(refused)["code"]) == (502, "model_unavailable")
    assert refused.headers["x-should-retry"] == "false"


async def test_a_truncated_reply_is_incomplete(program: V1Client, fake_model: FakeModel) -> None:
    asking = asyncio.create_task(program.ask("One"))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hel")
    model_reply.finish(FinishReason.LENGTH)
    document = (await asking).document

    assert document["status"] == "incomplete"
    assert document["incomplete_details"] == {"reason": "max_output_tokens"}
    assert await program.response(document["id"]) == document


@pytest.mark.parametrize("stream", [True, False])
async def test_arguments_of_two_calls_can_be_interleaved(
    program: V1Client, fake_model: FakeModel, *, stream: bool
) -> None:
    asking = asyncio.create_task(program.ask("One", stream=stream))
    model_reply = await fake_model.next_reply()
    for call_id, arguments in (("a", '{"x"'), ("b", "{"), ("a", ":1}"), ("b", "}")):
        model_reply.send(ToolCallPiece(call_id=call_id, name="look", arguments=arguments))
    model_reply.finish(FinishReason.TOOL_CALLS)
    answer = await asking
    document = answer.events[-2].document["response"] if stream else answer.document

    assert [(item["call_id"], item["arguments"]) for item in document["output"]] == [
        ("a", '{"x":1}'), ("b", "{}")
    ]  # fmt: skip
    assert await program.response(document["id"]) == document


async def test_a_retry_after_a_failure_is_answered(
    program: V1Client, fake_model: FakeModel
) -> None:
    keyed = {"idempotency_key": "retried"}
    failing = asyncio.create_task(program.post("/v1/responses", {"input": "One"}, **keyed))
    (await fake_model.next_reply()).fail(ModelUnavailable())
    failed = await failing
    retrying = asyncio.create_task(program.post("/v1/responses", {"input": "One"}, **keyed))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hi")
    model_reply.finish()
    answer = await retrying

    assert (failed.status, answer.status) == (502, 200)
    assert answer.document["output"][0]["content"][0]["text"] == "Hi"
