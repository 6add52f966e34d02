"""What the check of the model's server says about each cause, with real servers."""

import asyncio
import errno
import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientConnectorError

from adapters.language_model import connection_failures, model_diagnosis
from ports.findings import Finding, Level
from tests.architecture.sources import ROOT
from tests.support.model_client import KEY, SHORT, finding_at, findings_at, timeouts
from tests.support.model_server import ModelResponse, a_reply, an_error
from tests.support.odd_model_servers import A_LIST, no_names, odd_model_server
from tests.support.proxies import listening

HTML = ModelResponse(headers={"content-type": "text/html"}, chunks=(b"<html>planted</html>",))
FAILED = Level.PROBLEM


def an_api(reply: ModelResponse, models: ModelResponse = A_LIST) -> dict[str, ModelResponse]:
    return {"/v1/models": models, "/v1/chat/completions": reply}


async def with_reply(
    reply: ModelResponse, models: ModelResponse = A_LIST, **members: Any
) -> Finding:
    async with odd_model_server(an_api(reply, models)) as server:
        return await finding_at(f"{server.origin}/v1", **members)


async def test_a_server_that_answers_is_good_and_is_asked_for_one_piece_only() -> None:
    endless = ModelResponse(chunks=a_reply("Hel", "lo").chunks, hangs=True)
    async with odd_model_server(an_api(endless)) as server:
        findings = await findings_at(f"{server.origin}/v1")

    address = server.origin.removeprefix("http://")
    assert findings == [Finding(Level.GOOD, "model", f"small-1 at {address} answers")]
    assert server.requests == [("GET", "/v1/models"), ("POST", "/v1/chat/completions")]
    assert server.keys == [f"Bearer {KEY}"] * 2


async def test_a_server_without_a_list_of_models_is_good_and_the_list_unknown() -> None:
    async with odd_model_server({"/v1/chat/completions": a_reply("Hi")}) as server:
        findings = await findings_at(f"{server.origin}/v1")

    assert [(finding.level, finding.topic) for finding in findings] == [
        (Level.GOOD, "model"),
        (Level.UNKNOWN, "models"),
    ]
    assert findings[1].text == "the server does not list them (status 404)"


async def test_a_model_that_the_list_lacks_is_good_if_it_answers() -> None:
    async with odd_model_server(an_api(a_reply("Hi"))) as server:
        [finding] = await findings_at(f"{server.origin}/v1", name="alias")

    assert finding.level is Level.GOOD


@pytest.mark.parametrize(
    ("reply", "members", "level", "text", "advice"),
    [
        (
            an_error(401, code="invalid_api_key"),
            {},
            FAILED,
            "the server does not accept the API key in MODEL_API_KEY (status 401, invalid_api_key)",
            "Check that the key is complete, still valid, and of this provider.",
        ),
        (
            an_error(401),
            {"api_key": None},
            FAILED,
            "the server requires an API key (status 401)",
            "Set MODEL_API_KEY.",
        ),
        (
            an_error(403),
            {},
            FAILED,
            "the server does not accept the API key in MODEL_API_KEY (status 403)",
            "Check that the key is complete, still valid, and of this provider.",
        ),
        (
            an_error(429),
            {},
            Level.WARNING,
            "the server is busy, or limits requests (status 429)",
            "Wait, or raise the limits at the provider.",
        ),
        (
            an_error(429, code="insufficient_quota"),
            {},
            FAILED,
            "the account has no credit left (status 429, insufficient_quota)",
            "Add credit to the account at the provider.",
        ),
        (
            an_error(402),
            {},
            FAILED,
            "the account has no credit left (status 402)",
            "Add credit to the account at the provider.",
        ),
        (
            an_error(503, code=503, type="unavailable_error", message="Loading model"),
            {},
            Level.WARNING,
            "the server is not ready (status 503, unavailable_error)",
            "It may still be loading the model: wait, and run privity doctor.",
        ),
        (
            an_error(500, message="planted"),
            {},
            FAILED,
            "the server failed (status 500)",
            "Look into the log of the model's server.",
        ),
        (
            an_error(400, message="maximum context length is 32 tokens"),
            {},
            FAILED,
            "MODEL_REPLY_TOKENS is too high for the context window of the model (status 400)",
            "Lower MODEL_REPLY_TOKENS, and set MODEL_CONTEXT_TOKENS to the server's window.",
        ),
        (
            an_error(400, code="content_filter"),
            {},
            FAILED,
            "the content filter of the server refuses a greeting (status 400, content_filter)",
            "Check its filter.",
        ),
        (
            an_error(400, message="planted"),
            {},
            FAILED,
            "the server rejects the request as invalid (status 400)",
            "Look into the log of the model's server for the reason.",
        ),
        (
            an_error(400, param="temperature"),
            {"options": {"temperature": 0.5}},
            FAILED,
            "the server does not accept temperature, which MODEL_TEMPERATURE sets (status 400)",
            "Remove or change it in MODEL_TEMPERATURE.",
        ),
        (
            an_error(400, message="Unrecognized request argument supplied: think"),
            {"options": {"think": False}},
            FAILED,
            "the server does not accept think, which MODEL_OPTIONS sets (status 400)",
            "Remove or change it in MODEL_OPTIONS.",
        ),
        (
            ModelResponse(status=308, headers={"location": "https://planted.test/v1"}),
            {},
            FAILED,
            "the server redirects to another URL, which Privity does not follow (308)",
            "Set MODEL_BASE_URL to the URL it redirects to. It probably begins with https://.",
        ),
        (
            ModelResponse(headers={"content-type": "application/json"}, chunks=(b"{}",)),
            {},
            FAILED,
            "the server does not stream its reply in OpenAI's format (status 200)",
            "Check that MODEL_BASE_URL is that of an OpenAI-compatible server.",
        ),
    ],
)
async def test_each_error_of_a_reply_has_its_sentence(
    reply: ModelResponse, members: Mapping[str, Any], level: Level, text: str, advice: str
) -> None:
    assert await with_reply(reply, **members) == Finding(level, "model", text, advice)


async def test_an_unknown_model_is_named_with_those_that_the_server_has() -> None:
    finding = await with_reply(an_error(404, code="model_not_found"), name="small-2")

    assert finding.text == "the server does not have the model small-2"
    assert finding.advice == "Set MODEL_NAME to one that it has: small-1, large-1."


async def names_shown(*names: str) -> list[str]:
    """The names that are proposed if the server has models with ``names``, but not ``model``."""
    models = json.dumps({"data": [{"id": name} for name in names]}).encode()
    finding = await with_reply(an_error(404), ModelResponse(chunks=(models,)), name="model")
    return finding.advice.partition(": ")[2].rstrip(".").split(", ")


async def test_at_most_ten_names_of_models_are_shown() -> None:
    names = [f"model-{number}" for number in range(30)]

    shown = await names_shown(*names)

    assert len(shown) == 10
    assert set(shown) <= set(names)


async def test_a_list_of_any_length_is_not_compared_completely() -> None:
    names = [*(f"other-{number}" for number in range(2_000)), "model-1"]

    assert "model-1" not in await names_shown(*names)


async def test_a_name_with_control_characters_or_of_any_length_is_not_shown() -> None:
    assert await names_shown("\x1b[31mmodel", "model\n", "m" * 101, "m" * 100) == ["m" * 100]


@pytest.mark.parametrize(
    ("models", "advice"),
    [
        (ModelResponse(chunks=(b'{"data": []}',)), "It lists no model at all: "),
        (ModelResponse(status=404), "Correct MODEL_NAME."),
    ],
)
async def test_an_unknown_model_without_known_ones(models: ModelResponse, advice: str) -> None:
    finding = await with_reply(an_error(404, code="model_not_found"), models)

    assert finding.text == "the server does not have the model small-1"
    assert finding.advice.startswith(advice)


@pytest.mark.parametrize("elsewhere", ["", "/api", "/v1/chat/completions"])
@pytest.mark.parametrize("other", [None, HTML])
async def test_a_wrong_path_is_named_with_the_line_to_paste(
    elsewhere: str, other: ModelResponse | None
) -> None:
    answers = an_api(a_reply("Hi"))
    if other is not None:
        wrong = {f"{elsewhere}/models": other, f"{elsewhere}/chat/completions": other}
        answers = {**wrong, **answers}
    async with odd_model_server(answers) as server:
        finding = await finding_at(f"{server.origin}{elsewhere}")

    assert finding.advice == f"Set MODEL_BASE_URL={server.origin}/v1"
    if other is HTML:
        assert finding.text == "the server answers with a web page instead of JSON"
    elif not elsewhere:
        assert finding.text == "MODEL_BASE_URL lacks /v1 at its end (status 404)"
    else:
        assert finding.text == "the server has no chat completions at MODEL_BASE_URL (status 404)"


async def test_a_server_without_any_api_is_named_as_such() -> None:
    async with odd_model_server({}) as server:
        finding = await finding_at(f"{server.origin}/v1")

    assert finding.text == "the server has no chat completions at MODEL_BASE_URL (status 404)"
    assert finding.advice.startswith("Correct the path of MODEL_BASE_URL.")


async def test_a_model_that_is_silent_is_named_with_its_setting() -> None:
    quick = timeouts(first_piece=SHORT)
    finding = await with_reply(ModelResponse(hangs=True), timeouts=quick)

    assert finding.text == "no reply within MODEL_FIRST_PIECE_SECONDS"


async def test_a_name_that_is_not_found_is_named() -> None:
    with no_names():
        finding = await finding_at("http://model.test/v1")

    assert finding.text == "the host name model.test is not found"
    assert finding.advice == "Correct the host in MODEL_BASE_URL."


async def test_a_refused_connection_advises_about_containers() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        finding = await finding_at(f"http://127.0.0.1:{reserved.getsockname()[1]}/v1")

    assert finding.text == "connection refused"
    assert finding.advice.endswith(
        "In a container, 127.0.0.1 is the container itself: use host.docker.internal."
    )


def test_a_host_whose_addresses_fail_differently_has_the_failure_of_the_last_one() -> None:
    last = f"[Errno {errno.ECONNREFUSED}] Connect call failed ('127.0.0.1', 1)"
    text = f"Multiple exceptions: [Errno {errno.EADDRNOTAVAIL}] Connect call failed, {last}"
    error = ClientConnectorError(cast("Any", None), OSError(text))

    assert connection_failures.connection_failure(error, "localhost") == "refused"


async def test_a_program_that_is_not_a_web_server_is_named() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    async with listening(greet) as port:
        finding = await finding_at(f"http://127.0.0.1:{port}/v1")

    assert finding.text == "the server does not answer with HTTP"


@pytest.mark.parametrize(
    "reply",
    [
        an_error(400, message="planted", code="planted words", param="planted"),
        an_error(500, message=KEY, code=KEY),
        ModelResponse(status=404, chunks=(b"planted",)),
        HTML,
    ],
)
async def test_nothing_of_a_response_is_shown(reply: ModelResponse) -> None:
    finding = await with_reply(reply)

    assert "planted" not in f"{finding.text} {finding.advice}"


def test_the_page_for_operators_has_every_sentence_and_no_other() -> None:
    """The sentences in the code have names of servers where the page has dots."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    table = page.partition("| what is printed |")[2].partition("\n\n")[0]
    documented = re.findall(r"^\| `(.+?)` \| (?:`([\w-]+)`)?", table, re.MULTILINE)
    source = Path(model_diagnosis.__file__).read_text("utf-8")
    words = set(re.findall(r'"([a-z]+(?:-[a-z]+)+|refused|unreachable|timeout|closed)"', reasons()))

    parts = [part.strip(", ") for text, _ in documented for part in text.split("…")]
    assert [part for part in parts if part and part not in source] == []
    assert words <= {word for _, word in documented}
    fixed = [text for text, _ in vars(model_diagnosis)["_BY_REASON"].values()]
    fixed += [text for _, text, _ in vars(model_diagnosis)["_BY_ERROR"]]
    assert set(fixed) <= {text for text, _ in documented}


def reasons() -> str:
    return Path(connection_failures.__file__).read_text("utf-8")
