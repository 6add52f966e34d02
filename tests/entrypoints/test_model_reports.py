"""What the start of the service prints and logs about the model's server."""

import json
import socket

import pytest

from entrypoints.cli.model_check import model_findings, report_model
from entrypoints.settings import Settings
from ports.findings import Level
from tests.support.logs import logging_at
from tests.support.model_client import KEY
from tests.support.model_server import ModelResponse, a_reply, an_error
from tests.support.odd_model_servers import A_LIST, odd_model_server


def settings_for(origin: str, **members: object) -> Settings:
    return Settings(
        model_base_url=f"{origin}/v1",
        model_name="small-1",
        model_api_key=KEY,
        **members,  # type: ignore[arg-type]
    )


def an_api(reply: ModelResponse) -> dict[str, ModelResponse]:
    return {"/v1/models": A_LIST, "/v1/chat/completions": reply}


async def test_a_model_that_answers_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    async with odd_model_server(an_api(a_reply("Hi"))) as server:
        await report_model(settings_for(server.origin))

    assert capsys.readouterr().out.startswith("The model answers.\n")


async def test_a_problem_is_one_line_and_one_event(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_at("info"):
        async with odd_model_server(an_api(an_error(401, message=KEY))) as server:
            await report_model(settings_for(server.origin))

    address = server.origin.removeprefix("http://")
    printed = capsys.readouterr()
    lines = (printed.out + printed.err).splitlines()
    assert lines[0] == (
        f"privity: The model at {address}: the server does not accept the API key in "
        "MODEL_API_KEY (status 401). Check that the key is complete, still valid, and of this "
        "provider."
    )
    logged = json.loads(lines[1])
    assert (logged["event"], logged["host"], logged["finding"]) == (
        *("model.check", address),
        "problem",
    )
    assert len(lines) == 2
    assert KEY not in str(lines)


async def test_nothing_is_asked_if_the_check_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    async with odd_model_server({}) as server:
        await report_model(settings_for(server.origin, model_check=False))

    assert server.requests == []
    assert capsys.readouterr().out == ""


async def test_the_built_in_script_needs_no_check(capsys: pytest.CaptureFixture[str]) -> None:
    await report_model(Settings())

    [finding] = await model_findings(Settings())
    assert finding.level is Level.GOOD
    assert capsys.readouterr().out == ""


async def test_the_doctor_asks_even_if_the_check_at_the_start_is_off() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        [finding] = await model_findings(settings_for(origin, model_check=False))

    assert (finding.level, finding.text) == (Level.PROBLEM, "connection refused")


async def test_the_request_has_the_operators_options_and_allowance() -> None:
    async with odd_model_server(an_api(a_reply("Hi"))) as server:
        settings = settings_for(server.origin, model_options='{"think": false}', model_top_p=0.5)
        await model_findings(settings)

    body = json.loads(server.bodies[-1])
    assert (body["think"], body["top_p"]) == (False, 0.5)
    assert body["max_tokens"] == settings.model_reply_tokens


def stating(window: int | None) -> dict[str, ModelResponse]:
    body = json.dumps({"data": [{"id": "small-1", "max_model_len": window}]}).encode()
    return {**an_api(a_reply("Hi")), "/v1/models": ModelResponse(chunks=(body,))}


@pytest.mark.parametrize(
    ("chosen", "stated", "level", "text"),
    [
        (None, 16_384, Level.GOOD, "16,384 tokens, as the server states"),
        (
            None,
            None,
            Level.UNKNOWN,
            "the server does not state it, so prompts are made for 8,192 tokens",
        ),
        (4_096, 16_384, Level.GOOD, "4,096 tokens, as MODEL_CONTEXT_TOKENS says"),
        (4_096, None, Level.GOOD, "4,096 tokens, as MODEL_CONTEXT_TOKENS says"),
        (
            16_384,
            4_096,
            Level.WARNING,
            "MODEL_CONTEXT_TOKENS is 16,384, but the server states 4,096 tokens",
        ),
    ],
)
async def test_the_doctor_says_which_context_window_applies(
    chosen: int | None, stated: int | None, level: Level, text: str
) -> None:
    async with odd_model_server(stating(stated)) as server:
        settings = settings_for(server.origin, model_context_tokens=chosen)
        _, finding = await model_findings(settings)

    assert (finding.level, finding.topic, finding.text) == (level, "context window", text)


async def test_the_check_requests_no_longer_reply_than_the_window_allows() -> None:
    async with odd_model_server(stating(2_048)) as server:
        await model_findings(settings_for(server.origin))

    assert json.loads(server.bodies[-1])["max_tokens"] == 1_024


async def test_a_model_that_the_check_loads_is_asked_about_again() -> None:
    ollama = {
        **an_api(a_reply("Hi")),
        "/api/ps": ModelResponse(chunks=(b'{"models": []}',)),
        "/api/show": ModelResponse(chunks=(b"{}",)),
    }
    async with odd_model_server(ollama) as server:
        await model_findings(settings_for(server.origin))

    assert [path for _, path in server.requests].count("/api/ps") == 2
    assert server.requests[-1] == ("POST", "/api/show")
