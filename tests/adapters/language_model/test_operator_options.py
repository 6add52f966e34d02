"""Options that the operator sets for every request."""

import json
from typing import Any

import pytest
from attrs import evolve

from adapters.language_model.chat_request import request_body
from domain.model.prompt import ReplyOptions
from ports.language_model import ModelRejectedRequest
from tests.support.model_client import PROMPT, collect_reply, model_at
from tests.support.model_server import a_reply, an_error, model_server

OPTIONS = {"temperature": 0.2, "reasoning_effort": "none", "think": False}


def sent(options: ReplyOptions, **members: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        request_body(
            evolve(PROMPT, options=options), "small-1", operator_options=OPTIONS, **members
        )
    )
    return body


def test_they_are_sent_with_every_request() -> None:
    body = sent(ReplyOptions())

    assert {name: body[name] for name in OPTIONS} == OPTIONS
    assert body["stream"] is True


def test_an_option_of_the_caller_replaces_the_operators() -> None:
    body = sent(ReplyOptions(temperature=1.0, effort="high"))

    assert (body["temperature"], body["reasoning_effort"]) == (1.0, "high")
    assert body["think"] is False


def test_a_rejected_parameter_is_not_sent_in_either_form() -> None:
    assert "reasoning_effort" not in sent(ReplyOptions(), rejected={"reasoning_effort"})


@pytest.mark.parametrize("parameter", ["temperature", "reasoning_effort", "think"])
async def test_one_that_the_server_rejects_fails_the_reply_and_is_named(parameter: str) -> None:
    error = an_error(400, param=parameter, message="planted")
    async with model_server(error) as server, model_at(server.url, options=OPTIONS) as model:
        with pytest.raises(ModelRejectedRequest) as caught:
            await collect_reply(model)

    assert caught.value.option is None
    assert caught.value.details.parameter == parameter
    assert len(server.bodies) == 1


async def test_a_hint_of_the_caller_is_left_out_with_the_operators() -> None:
    prompt = evolve(PROMPT, options=ReplyOptions(effort="high"))
    responses = an_error(400, param="reasoning_effort"), a_reply("Hi")
    async with model_server(*responses) as server, model_at(server.url, options=OPTIONS) as model:
        *_, finished = await collect_reply(model, prompt)

    assert [body.get("reasoning_effort") for body in server.bodies] == ["high", None]
    assert finished.dropped_options == ("effort",)  # type: ignore[union-attr]


async def test_what_the_service_adds_itself_is_still_left_out() -> None:
    responses = an_error(400, param="store"), a_reply("Hi")
    async with model_server(*responses) as server, model_at(server.url, options=OPTIONS) as model:
        await collect_reply(model)

    assert ["store" in body for body in server.bodies] == [True, False]
