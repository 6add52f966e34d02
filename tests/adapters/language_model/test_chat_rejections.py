"""What is learned when the model's server rejects a parameter."""

import json
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from adapters.language_model.chat_rejections import named_parameters, rejected_option
from domain.model.piece import ModelFinished
from domain.model.prompt import ReplyOptions, Tool
from ports.language_model import ModelRejectedRequest
from tests.support.clocks import HastyClock
from tests.support.fakes import RecordingTelemetry
from tests.support.model_client import PROMPT, collect_reply, model_at
from tests.support.model_server import ModelResponse, a_reply, an_error, model_server

STORE = an_error(400, message="Unknown parameter: 'store'.", param="store")
GEMINI = 'Invalid JSON payload received. Unknown name "store": Cannot find field.'
LOCATION = {"type": "extra_forbidden", "loc": ["body", "store"], "input": False}
WITH_TOOL = evolve(
    PROMPT, options=ReplyOptions(tools=(Tool(name="look", parameters="{}"),), effort="low")
)


def names_in(error: Any, status: int = 400) -> set[str]:
    return set(named_parameters(status, json.dumps(error).encode()))


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "No.", "param": "store", "code": "unknown_parameter"}},
        {"error": {"message": "Unrecognized request argument supplied: store", "param": None}},
        {"detail": [LOCATION]},
        {"object": "error", "message": {"detail": [LOCATION]}, "param": None},
        {"object": "Error", "message": [LOCATION], "detail": [LOCATION]},
        [{"error": {"code": 400, "message": GEMINI, "status": "INVALID_ARGUMENT"}}],
        {"error": {"message": "property 'store' is unsupported, did you mean 'stop'?"}},
        {"message": "store: property 'store' is unsupported", "param": "validation_error"},
        {"message": "body.store: property 'body.store' is unsupported"},
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_the_rejected_parameter_is_found_in_the_errors_of_known_servers(
    error: Any, status: int
) -> None:
    assert names_in(error, status) == {"store"}


def test_all_parameters_of_one_error_are_found() -> None:
    max_tokens = {"loc": ["body", "max_tokens"]}

    assert names_in({"detail": [LOCATION, max_tokens]}) == {"store", "max_tokens"}


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "Invalid value: 'store'.", "param": "reasoning_effort.value"}},
        {"error": {"message": "Invalid schema: 'store'", "param": "tools[0].function.parameters"}},
        {"error": {"message": "No.", "param": "tools[0].store"}},
        {"error": {"message": "No.", "param": "model"}},
        {"error": {"message": "No.", "param": ["store"]}},
        {"error": {"message": f"The tool says: {GEMINI}"}},
        {"error": {"message": f"Bad tool.\n{GEMINI}"}},
        {"error": {"message": f"{GEMINI[:-1]} at 'tools[0]'."}},
        {"error": "store"},
        {"detail": [{"loc": ["body", "tools", 0, "store"]}]},
        {"detail": [{"loc": ["query", "store"]}]},
        {"detail": "store"},
        {"message": "tools.0.store: property 'tools.0.store' is unsupported"},
        "store",
        ["store", "store"],
        None,
    ],
)
def test_a_name_anywhere_else_is_not_a_rejected_parameter(error: Any) -> None:
    assert names_in(error) == set()


@pytest.mark.parametrize(
    "body", [b"", b"<html>'store'", b"\xff", b"[" * 100_000, b"[" * 900 + b"]" * 900]
)
def test_an_error_that_is_not_json_names_nothing(body: bytes) -> None:
    assert named_parameters(400, body) == set()


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_only_an_invalid_request_names_a_parameter(status: int) -> None:
    assert names_in({"error": {"param": "store"}}, status) == set()


async def sent_with(*responses: ModelResponse, with_tool: tuple[bool, ...]) -> list[bool]:
    """For each request that the server got, whether it contained ``store: false``."""
    async with model_server(*responses) as server, model_at(server.url) as model:
        for tool in with_tool:
            await collect_reply(model, WITH_TOOL if tool else PROMPT)
    assert not server.responses
    return [body.get("store") is False for body in server.bodies]


async def test_a_parameter_that_the_server_rejects_is_not_sent_again() -> None:
    sent = await sent_with(STORE, a_reply("H"), a_reply("i"), with_tool=(False, True))

    assert sent == [True, False, False]


async def test_nothing_is_learned_from_a_request_with_options_of_the_caller() -> None:
    sent = await sent_with(STORE, a_reply("H"), a_reply("i"), with_tool=(True, False))

    assert sent == [True, False, True]


async def test_a_parameter_that_was_accepted_once_is_never_left_out() -> None:
    max_tokens = an_error(400, message="No.", param="max_tokens")
    async with (
        model_server(a_reply("Hi"), STORE, max_tokens, a_reply("Hi")) as server,
        model_at(server.url) as model,
    ):
        await collect_reply(model, WITH_TOOL)
        for _ in range(2):
            with pytest.raises(ModelRejectedRequest):
                await collect_reply(model)
        await collect_reply(model)

    assert [(body["store"], body["max_tokens"]) for body in server.bodies] == [(False, 64)] * 4


async def test_nothing_is_learned_if_the_request_is_rejected_without_the_parameter_too() -> None:
    async with (
        model_server(STORE, STORE, a_reply("Hi")) as server,
        model_at(server.url) as model,
    ):
        with pytest.raises(ModelRejectedRequest):
            await collect_reply(model)
        await collect_reply(model)

    assert [body.get("store") for body in server.bodies] == [False, None, False]


async def test_the_server_is_asked_again_after_an_hour() -> None:
    clock = HastyClock()
    async with (
        model_server(STORE, *[a_reply("Hi")] * 4) as server,
        model_at(server.url, clock=clock) as model,
    ):
        await collect_reply(model)
        clock.advance(timedelta(minutes=59))
        await collect_reply(model)
        clock.advance(timedelta(minutes=2))
        await collect_reply(model)
        await collect_reply(model)

    assert [body.get("store") for body in server.bodies] == [False, None, None, False, False]


async def test_what_is_learned_is_logged_once_by_the_name_of_the_parameter() -> None:
    clock, telemetry = HastyClock(), RecordingTelemetry()
    async with (
        model_server(*[STORE, a_reply("Hi")] * 2) as server,
        model_at(server.url, clock=clock, telemetry=telemetry) as model,
    ):
        await collect_reply(model)
        clock.advance(timedelta(hours=2))
        await collect_reply(model)

    assert telemetry.emitted == [("model.parameter-rejected", {"parameter": "store"})]


async def test_a_rejected_hint_of_the_caller_is_left_out_of_this_request_only() -> None:
    effort = an_error(400, message="No.", param="reasoning_effort")
    telemetry = RecordingTelemetry()
    async with (
        model_server(effort, a_reply("Hi"), a_reply("Hi")) as server,
        model_at(server.url, telemetry=telemetry) as model,
    ):
        await collect_reply(model, WITH_TOOL)
        await collect_reply(model, WITH_TOOL)

    assert [body.get("reasoning_effort") for body in server.bodies] == ["low", None, "low"]
    assert telemetry.emitted == []


async def test_a_rejected_temperature_is_an_error() -> None:
    prompt = evolve(PROMPT, options=ReplyOptions(temperature=0.5))
    error = an_error(400, message="No.", param="temperature")
    async with model_server(error) as server, model_at(server.url) as model:
        with pytest.raises(ModelRejectedRequest) as rejected:
            await collect_reply(model, prompt)

    assert len(server.bodies) == 1
    assert (rejected.value.option, server.bodies[0]["temperature"]) == ("temperature", 0.5)


@pytest.mark.parametrize(
    ("error", "option"),
    [
        ({"error": {"message": "No.", "param": "reasoning_effort"}}, "effort"),
        ({"error": {"message": "No.", "param": "tools[0].function.parameters"}}, "tools"),
        ({"error": {"message": "No.", "param": "response_format.json_schema.name"}}, None),
        ({"error": {"message": "No.", "param": "messages[0]"}}, None),
        ({"error": {"message": "No.", "param": "a planted name"}}, None),
        ({"detail": [{"loc": ["body", "tools", 0, "function"]}]}, "tools"),
        ({"detail": [{"loc": ["query", "tools"]}]}, None),
        ({"message": "property 'tools' is unsupported"}, "tools"),
        ("tools", None),
    ],
)
def test_the_rejected_option_is_one_that_the_caller_set(error: Any, option: str | None) -> None:
    assert rejected_option(json.dumps(error).encode(), WITH_TOOL.options) == option


async def test_a_dropped_hint_is_reported_with_the_end_of_the_reply() -> None:
    effort = an_error(400, message="No.", param="reasoning_effort")
    async with (
        model_server(STORE, effort, a_reply("Hi"), a_reply("Hi")) as server,
        model_at(server.url) as model,
    ):
        *_, dropped = await collect_reply(model, WITH_TOOL)
        *_, kept = await collect_reply(model, WITH_TOOL)

    assert isinstance(dropped, ModelFinished)
    assert isinstance(kept, ModelFinished)
    assert (dropped.dropped_options, kept.dropped_options) == (("effort",), ())
