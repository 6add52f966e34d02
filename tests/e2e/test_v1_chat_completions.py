"""Chat completions over HTTP: what the model gets, how replies end, what a lost client leaves."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest

from domain.model.message import FinishReason, Role, Usage
from domain.model.piece import ReasoningPiece, ToolCallPiece
from entrypoints.settings import Settings
from ports.language_model import ContentFiltered, ModelBusy, ModelRejectedRequest, ModelUnavailable
from tests.support.chat_completions import HELLO, PATH, complete, completing, streaming
from tests.support.event_stream import Event
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.service import RunningService, running_service
from tests.support.v1_client import V1Client, error_of

SMALL_WINDOW: Final = Settings(limits=False, v1=True, model_context_tokens=8_192)

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLED = [
    {"role": "user", "content": "Look"},
    {"role": "assistant", "content": "Wait.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
]


@pytest.fixture
async def program(service: RunningService) -> V1Client:
    return await V1Client.new(service.url)


def deltas(events: list[Event]) -> list[dict[str, Any]]:
    documents = [event.document for event in events if event.data.startswith("{")]
    return [choice["delta"] for one in documents for choice in one.get("choices", ())]


async def test_the_model_gets_every_message_in_its_place(
    program: V1Client, fake_model: FakeModel
) -> None:
    messages = [
        {"role": "system", "content": [{"type": "text", "text": t} for t in ("Rhyme.", "Well.")]},
        *CALLED,
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Thanks"},
    ]
    options = {"stop": ["END", ""], "seed": 7, "presence_penalty": 0.5, "frequency_penalty": -0.5}
    asking = asyncio.create_task(complete(program, messages, **options))
    model_reply = await fake_model.next_reply()
    model_reply.finish()
    prompt = model_reply.prompt

    assert (await asking).status == 200
    assert prompt.options.instructions == "Rhyme.\nWell."
    assert [message.role for message in prompt.messages] == [
        Role.USER, Role.ASSISTANT, Role.DEVELOPER, Role.USER
    ]  # fmt: skip
    assert [message.text for message in prompt.messages] == [
        "Look", "Wait.", "Be brief.", "Thanks"
    ]  # fmt: skip
    assert prompt.options.stop == ("END",)
    assert (prompt.options.seed, prompt.options.presence_penalty) == (7, 0.5)
    assert prompt.options.frequency_penalty == -0.5


async def test_the_smaller_limit_of_tokens_applies(
    program: V1Client, fake_model: FakeModel
) -> None:
    asking = asyncio.create_task(complete(program, max_tokens=50, max_completion_tokens=40))
    model_reply = await fake_model.next_reply()
    model_reply.finish()
    await asking

    assert model_reply.prompt.reply_tokens == 40


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.CONTENT_FILTER, "content_filter"),
        (FinishReason.TOOL_CALLS, "tool_calls"),
        (FinishReason.OTHER, "stop"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_reason_why_the_model_stopped_has_openais_name(
    program: V1Client, fake_model: FakeModel, reason: FinishReason, name: str, *, stream: bool
) -> None:
    asking = asyncio.create_task(complete(program, stream=stream))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hel")
    model_reply.finish(reason)
    answer = await asking
    document = answer.events[-2].document if stream else answer.document

    assert document["choices"][0]["finish_reason"] == name


async def test_the_details_of_the_usage_are_those_that_the_model_reported(
    program: V1Client, fake_model: FakeModel
) -> None:
    asking = asyncio.create_task(complete(program))
    usage = Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, reasoning_tokens=3)
    (await fake_model.next_reply()).finish(usage=usage)

    assert (await asking).document["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


async def test_arguments_of_two_calls_can_be_interleaved(
    program: V1Client, fake_model: FakeModel
) -> None:
    asking = asyncio.create_task(complete(program, stream=True))
    model_reply = await fake_model.next_reply()
    model_reply.send(ReasoningPiece("Hm."))
    for call_id, arguments in (("a", '{"x"'), ("b", "{"), ("a", ":1}"), ("b", "}")):
        model_reply.send(ToolCallPiece(call_id=call_id, name="look", arguments=arguments))
    model_reply.finish(FinishReason.TOOL_CALLS)
    answer = await asking

    first, reasoning, *calls, last = deltas(answer.events)
    assert first == {"role": "assistant", "content": None, "refusal": None}
    assert reasoning == {"reasoning_content": "Hm."}
    assert [call["tool_calls"][0]["index"] for call in calls] == [0, 1, 0, 1]
    assert calls[0]["tool_calls"][0] == {
        "index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": '{"x"'}
    }  # fmt: skip
    assert calls[2]["tool_calls"][0] == {"index": 0, "function": {"arguments": ":1}"}}
    assert last == {}


async def test_a_stream_has_only_data_and_its_deltas_are_padded(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with streaming(program, fake_model) as (live, model_reply):
        model_reply.send_text("b" * 20)
        model_reply.finish()
        answer = await live.whole()

    _, short, long, _, done = answer.events
    assert all(event.raw.startswith(b"data: ") for event in answer.events)
    assert (len(short.raw) % 64, len(long.raw) % 64, done.data) == (0, 0, "[DONE]")
    assert answer.clean


async def test_a_silent_model_gives_comments(
    program: V1Client, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = timedelta(milliseconds=1)
    monkeypatch.setattr("entrypoints.http.openai.streaming.HEARTBEAT_INTERVAL", soon)
    async with completing(program) as live:
        model_reply = await fake_model.next_reply()
        comment = await live.event()
        model_reply.finish()
        answer = await live.whole()

    assert comment.raw == b": ping\n\n"
    assert deltas(answer.events) == [{"role": "assistant", "content": "", "refusal": None}, {}]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_before_the_first_piece_is_an_error_response(
    program: V1Client, fake_model: FakeModel, *, stream: bool
) -> None:
    asking = asyncio.create_task(complete(program, stream=stream))
    (await fake_model.next_reply()).fail(ModelBusy())
    refused = await asking

    assert (refused.status, error_of(refused)["code"]) == (503, "model_busy")
    assert refused.headers["retry-after"] == "2"
    assert "x-should-retry" not in refused.headers


async def test_a_later_failure_is_an_error_in_the_stream_and_its_end(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with streaming(program, fake_model) as (live, model_reply):
        model_reply.fail(ModelUnavailable())
        answer = await live.whole()

    last = answer.events[-1].document
    assert last["error"]["code"] == "model_unavailable"
    assert set(last) == {"error"}
    assert answer.clean


async def test_a_reply_that_is_filtered_as_a_whole_is_an_error(
    program: V1Client, fake_model: FakeModel
) -> None:
    asking = asyncio.create_task(complete(program))
    (await fake_model.next_reply()).fail(ContentFiltered())

    assert error_of(await asking)["code"] == "model_content_filtered"


async def test_a_client_that_leaves_a_stream_stops_the_model(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with streaming(program, fake_model) as (live, model_reply):
        await live.event()

    async with asyncio.timeout(10):
        await model_reply.closed.wait()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_before_the_first_piece_stops_the_model(
    program: V1Client, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    late = timedelta(hours=1)
    monkeypatch.setattr("entrypoints.http.openai.streaming.HEARTBEAT_INTERVAL", late)
    asking = asyncio.create_task(complete(program, stream=stream))
    model_reply = await fake_model.next_reply()
    asking.cancel()

    async with asyncio.timeout(10):
        await model_reply.closed.wait()


async def test_a_deploy_ends_a_reply_with_an_error_that_can_be_retried(
    program: V1Client, fake_model: FakeModel, service: RunningService
) -> None:
    async with streaming(program, fake_model) as (live, _):
        await live.event()
        await service.runner.drain(timedelta(), timedelta(seconds=5))
        answer = await live.whole()

    assert answer.events[-1].document["error"]["code"] == "shutting_down"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_parameter_that_the_models_server_rejects_is_named(
    program: V1Client, fake_model: FakeModel, *, stream: bool
) -> None:
    for option, name in (("stop", "stop"), ("effort", "reasoning_effort")):
        asking = asyncio.create_task(complete(program, stop="END", stream=stream))
        (await fake_model.next_reply()).fail(ModelRejectedRequest(option))
        refused = await asking

        assert (refused.status, error_of(refused)["code"]) == (502, "model_request_rejected")
        assert error_of(refused)["param"] == name


@pytest.mark.parametrize("stream", [True, False])
async def test_messages_for_which_the_model_has_no_room_are_refused(
    fake_model: FakeModel, *, stream: bool
) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "x" * 200_000}, *HELLO]
    async with running_service(SMALL_WINDOW, model=fake_model) as service:
        refused = await complete(await V1Client.new(service.url), messages, stream=stream)

    assert (refused.status, error_of(refused)["code"]) == (400, "context_length_exceeded")
    assert error_of(refused)["param"] == "messages"
    assert fake_model.call_count == 0


async def test_instructions_that_leave_no_room_are_refused(fake_model: FakeModel) -> None:
    messages = [{"role": "system", "content": "x" * 32_000}, *HELLO]
    async with running_service(SMALL_WINDOW, model=fake_model) as service:
        refused = await complete(await V1Client.new(service.url), messages)

    assert error_of(refused)["code"] == "context_length_exceeded"
    assert error_of(refused)["param"] == "messages"
    assert fake_model.call_count == 0


async def test_a_greeting_of_the_assistant_is_not_lost(
    program: V1Client, fake_model: FakeModel
) -> None:
    messages = [{"role": "assistant", "content": "Welcome!"}, *HELLO]
    asking = asyncio.create_task(complete(program, messages))
    model_reply = await fake_model.next_reply()
    model_reply.finish()
    await asking

    assert [message.text for message in model_reply.prompt.messages] == ["Welcome!", "Hello?"]


async def test_completions_that_are_not_kept_count_as_messages() -> None:
    settings = Settings(v1=True, messages_per_minute=2)
    async with running_service(settings, model=EchoModel()) as service:
        program = await V1Client.new(service.url)
        answers = [await complete(program) for _ in range(4)]

    refused = [error_of(answer)["code"] for answer in answers if answer.status == 429]
    assert refused
    assert set(refused) == {"rate_limit_exceeded"}


async def test_words_of_the_model_may_be_long_and_blank(echo_service: str) -> None:
    program = await V1Client.new(echo_service)
    long = "x" * 20_000
    messages = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": " "},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": long, "tool_calls": []},
        {"role": "user", "content": "Three"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ]

    assert (await complete(program, messages)).status == 200


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([{"role": "user", "content": "x" * 1_048_576}], 413),
        ([{"role": "assistant", "content": "x" * 262_145}, *HELLO], 413),
        ([{"role": "system", "content": "x" * 32_769}, *HELLO], 413),
        ([*HELLO, {"role": "developer", "content": "x" * 32_769}, *HELLO], 413),
        ([{"role": "assistant"}] * 2_000 + HELLO, 400),
    ],
)
async def test_what_is_too_long_is_refused(
    echo_service: str, messages: list[Any], status: int
) -> None:
    refused = await complete(await V1Client.new(echo_service), messages)

    assert refused.status == status
    assert error_of(refused)["type"] == "invalid_request_error"


async def test_other_methods_are_refused_in_openais_format(echo_service: str) -> None:
    refused = await (await V1Client.new(echo_service)).get(PATH)

    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    assert error_of(refused)["code"] == "method_not_allowed"


async def test_a_refusal_repeats_nothing_of_the_request(echo_service: str) -> None:
    program = await V1Client.new(echo_service)
    planted = "the-heron-sleeps-standing"
    bodies: list[dict[str, Any]] = [
        {"messages": [{"role": planted, "content": planted}]},
        {"messages": [{"role": "user", "content": [{"type": planted}]}]},
        {"messages": [*HELLO, {"role": "tool", "tool_call_id": planted, "content": planted}]},
        {"messages": HELLO, "tool_choice": {"type": "function", "function": {"name": planted}}},
        {"messages": HELLO, "tools": [{"type": planted}]},
        {"messages": HELLO, "response_format": {"type": planted}},
        {"messages": HELLO, "stop": [planted] * 5},
        {"messages": HELLO, "n": planted},
        {"messages": HELLO, "metadata": {planted: 1}},
        {"messages": HELLO, "modalities": [planted]},
        {"messages": HELLO, "reasoning_effort": f"x' - at `$.{planted}`"},
    ]
    answers = [await program.post(PATH, body) for body in bodies]

    assert [answer.status for answer in answers] == [400] * len(bodies)
    assert [answer.body for answer in answers if planted.encode() in answer.body] == []
