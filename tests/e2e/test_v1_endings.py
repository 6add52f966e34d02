"""How responses end: failed, cut short, asking for tools."""

import asyncio
from datetime import timedelta

import pytest

from domain.model.message import FinishReason, Usage
from domain.model.piece import ToolCallPiece
from ports.language_model import ModelBusy, ModelRejectedRequest, ModelUnavailable
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


@pytest.mark.parametrize("store", [True, False])
async def test_only_a_request_that_left_nothing_is_tried_again(
    program: V1Client, fake_model: FakeModel, *, store: bool
) -> None:
    asking = asyncio.create_task(program.ask("One", store=store))
    (await fake_model.next_reply()).fail(ModelBusy())
    refused = await asking

    assert (refused.status, error_of(refused)["code"]) == (503, "model_busy")
    assert ("retry-after" in refused.headers) is not store
    assert (refused.headers.get("x-should-retry") == "false") is store


async def test_a_deploy_ends_an_unstored_response_with_an_error_that_can_be_retried(
    program: V1Client, fake_model: FakeModel, service: RunningService
) -> None:
    asking = asyncio.create_task(program.ask("One", store=False))
    (await fake_model.next_reply()).send_text("Hel")
    await service.runner.drain(timedelta(), timedelta(seconds=5))
    refused = await asking

    assert (refused.status, error_of(refused)["code"]) == (503, "shutting_down")
    assert "retry-after" in refused.headers


@pytest.mark.parametrize(
    ("option", "param"), [("temperature", "temperature"), ("effort", "reasoning.effort")]
)
async def test_the_parameter_that_the_model_rejects_is_named(
    program: V1Client, fake_model: FakeModel, option: str, param: str
) -> None:
    asking = asyncio.create_task(program.ask("One"))
    (await fake_model.next_reply()).fail(ModelRejectedRequest(option))
    refused = await asking
    async with program.asking("Two") as live:
        (await fake_model.next_reply()).fail(ModelRejectedRequest(option))
        answer = await live.whole()

    assert (refused.status, error_of(refused)["code"]) == (502, "model_request_rejected")
    assert error_of(refused)["param"] == param
    chat = {"messages": [{"role": "user", "content": "Three"}]}
    chatting = asyncio.create_task(program.post("/v1/chat/completions", chat))
    (await fake_model.next_reply()).fail(ModelRejectedRequest(option))
    assert error_of(await chatting)["param"] == param.replace(".", "_")
    failed = answer.events[-2].document["response"]
    assert failed["error"]["message"] == error_of(refused)["message"]
    assert f"'{param}'" in failed["error"]["message"]


async def test_a_hint_that_the_model_does_not_support_is_not_echoed(
    program: V1Client, fake_model: FakeModel
) -> None:
    hints = {
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "parallel_tool_calls": False,
    }
    asking = asyncio.create_task(program.ask("One", **hints))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("{}")
    model_reply.finish(dropped_options=("effort", "verbosity", "parallel_tool_calls"))
    document = (await asking).document

    assert document["reasoning"] == {"effort": None, "summary": None}
    assert document["text"] == {"format": {"type": "json_object"}}
    assert (document["parallel_tool_calls"], document["metadata"]) == (True, {})
    assert await program.response(document["id"]) == document


async def test_cached_and_reasoning_tokens_are_passed_on(
    program: V1Client, fake_model: FakeModel
) -> None:
    asking = asyncio.create_task(program.ask("One"))
    usage = Usage(input_tokens=9, output_tokens=5, cached_input_tokens=8, reasoning_tokens=4)
    (await fake_model.next_reply()).finish(usage=usage)
    document = (await asking).document

    assert document["usage"]["input_tokens_details"]["cached_tokens"] == 8
    assert document["usage"]["output_tokens_details"] == {"reasoning_tokens": 4}
    assert await program.response(document["id"]) == document


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
