"""What common servers say about a model's context window, and what odd ones do."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.language_model.model_server import open_connection
from adapters.language_model.model_window import ServerWindow
from ports.context_window import UNREACHABLE, StatedWindow
from tests.support.model_client import KEY, a_model_server
from tests.support.model_server import ModelResponse
from tests.support.odd_model_servers import NOT_FOUND, odd_model_server

FILES: Final = sorted((Path(__file__).parent / "recorded_windows").glob("*.json"))
RECORDED: Final = {path.stem: json.loads(path.read_text("utf-8")) for path in FILES}
CASES: Final = {
    f"{server}: {case['title']}": (recorded["model"], case)
    for server, recorded in RECORDED.items()
    for case in recorded["cases"]
}


async def window_at(url: str, name: str = "small-1") -> StatedWindow:
    server = a_model_server(url, name=name)
    async with open_connection(server) as connection, asyncio.timeout(20):
        return await ServerWindow(connection, server).read()


def a_list(*models: dict[str, Any], **members: Any) -> dict[str, ModelResponse]:
    body = json.dumps({"data": models, **members}).encode()
    return {"/v1/models": ModelResponse(chunks=(body,))}


async def stated(answers: dict[str, ModelResponse], path: str = "/v1") -> StatedWindow:
    async with odd_model_server(answers) as server:
        return await window_at(f"{server.origin}{path}")


@pytest.mark.parametrize("title", CASES)
async def test_what_a_server_states_is_understood(title: str) -> None:
    name, case = CASES[title]
    status = case.get("status", 200)
    answers = {
        path: ModelResponse(status=status, chunks=(body.encode(),))
        for path, body in case["answers"].items()
    }
    async with odd_model_server(answers) as server:
        found = await window_at(f"{server.origin}/v1", name)

    tokens, is_final = case["expected"]
    assert found == StatedWindow(tokens=tokens, is_final=is_final)
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert {path for _, path in server.requests} >= case["answers"].keys() - {"/api/show"}


@pytest.mark.parametrize("server", RECORDED)
def test_every_server_has_a_source(server: str) -> None:
    assert RECORDED[server]["source"]


async def test_only_the_list_is_requested_if_it_says_enough() -> None:
    async with odd_model_server(a_list({"id": "small-1", "max_model_len": 4_096})) as server:
        await window_at(f"{server.origin}/v1")

    assert server.requests == [("GET", "/v1/models")]


async def test_a_list_without_a_wrapper_is_read() -> None:
    body = b'[{"id": "other", "context_length": 1}, {"id": "small-1", "context_length": 9000}]'

    assert await stated({"/v1/models": ModelResponse(chunks=(body,))}) == StatedWindow(tokens=9_000)


async def test_the_only_model_counts_whatever_its_name() -> None:
    only = {"id": "/models/some.gguf", "meta": {"n_ctx": 2_048}}

    assert await stated(a_list(only)) == StatedWindow(tokens=2_048)
    assert await stated(a_list(only, {"id": "another"})) == StatedWindow()


@pytest.mark.parametrize("tokens", [None, True, 255, -1, 4096.5, "4096", [4096], {"n": 1}])
async def test_a_size_that_is_none_is_ignored(tokens: Any) -> None:
    assert await stated(a_list({"id": "small-1", "max_model_len": tokens})) == StatedWindow()


async def test_a_size_beyond_all_bounds_is_cut() -> None:
    found = await stated(a_list({"id": "small-1", "max_model_len": 10**18}))

    assert found == StatedWindow(tokens=10_000_000)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b"null", b"\xff", b'{"data": 1}', b'{"data": [1]}', b"[" * 100_000],
)
async def test_a_body_of_another_kind_says_nothing(body: bytes) -> None:
    answer = ModelResponse(chunks=(body,))
    paths = ("/v1/models", "/props", "/api/ps", "/api/show", "/api/v0/models", "/model/info")

    assert await stated(dict.fromkeys(paths, answer)) == StatedWindow()


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_server_that_does_not_list_its_models_says_nothing(status: int) -> None:
    assert await stated({"/v1/models": ModelResponse(status=status)}) == StatedWindow()


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_server_that_is_not_ready_is_asked_again(status: int) -> None:
    assert await stated({"/v1/models": ModelResponse(status=status)}) == UNREACHABLE


async def test_a_server_that_cannot_be_reached_is_asked_again() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        found = await window_at(f"http://127.0.0.1:{reserved.getsockname()[1]}/v1")

    assert found == UNREACHABLE


async def test_a_list_without_an_end_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.language_model.model_window._MAX_BYTES", 1_000)
    body = b'{"data": [' + b" " * 10_000
    endless = ModelResponse(chunks=(body,), hangs=True)

    assert await stated({"/v1/models": endless}) == StatedWindow()


async def test_the_other_paths_are_those_of_the_server_not_of_its_api() -> None:
    async with odd_model_server({"/gateway/v1/models": NOT_FOUND}) as server:
        await window_at(f"{server.origin}/gateway/v1/")

    assert sorted(path for _, path in server.requests) == [
        "/gateway/api/ps",
        "/gateway/api/v0/models",
        "/gateway/model/info",
        "/gateway/props",
        "/gateway/v1/models",
    ]
