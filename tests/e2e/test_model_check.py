"""The model's server at the start of ``privity serve``, and in ``privity doctor``."""

import asyncio
import socket

from tests.support.model_server import ModelResponse, a_reply
from tests.support.native_client import NativeClient
from tests.support.odd_model_servers import A_LIST, odd_model_server
from tests.support.processes import run_cli, serving

LIST, REPLY = ("GET", "/v1/models"), ("POST", "/v1/chat/completions")
API = {"/v1/models": A_LIST, "/v1/chat/completions": a_reply("Hi")}


async def test_the_service_starts_without_waiting_for_the_check() -> None:
    async with odd_model_server({**API, "/v1/models": ModelResponse(hangs=True)}) as model:
        url = f"{model.origin}/v1"
        async with serving(MODEL_BASE_URL=url, MODEL_NAME="small-1", MODEL_CHECK="true") as server:
            await model.until_requests(1)
            ready = await NativeClient(server.url).get("/health/ready")
            server.terminate()
            ended = await server.wait()

    assert ready.status == 200
    assert ended.code == 0
    assert "Traceback" not in ended.err


async def test_the_model_is_asked_at_the_start_only_if_the_setting_says_so() -> None:
    """For the context window, the service lists the models once more; the check does so twice."""
    stating = ModelResponse(chunks=(b'{"data": [{"id": "small-1", "max_model_len": 4096}]}',))
    async with odd_model_server({**API, "/v1/models": stating}) as model:
        settings = {"MODEL_BASE_URL": f"{model.origin}/v1", "MODEL_NAME": "small-1"}
        async with serving(**settings, MODEL_CHECK="true"):
            await model.until_requests(4)
        asked = [*model.requests]
        model.requests.clear()
        async with serving(**settings, MODEL_CHECK="false") as server:
            asked_without_check = [*model.requests]
            await NativeClient(server.url).send("Hello")

    assert sorted(asked) == [*[LIST] * 3, REPLY]
    assert asked_without_check == []
    assert model.requests == [LIST, REPLY]


async def test_the_doctor_reports_what_is_wrong_with_exit_status_2() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        ended = await run_cli("doctor", MODEL_BASE_URL=url, MODEL_NAME="small-1")

    assert ended.code == 2
    assert "model: connection refused" in ended.out


async def test_a_proxy_that_is_none_is_a_wrong_setting() -> None:
    settings = {"MODEL_BASE_URL": "https://model.test/v1", "MODEL_NAME": "small-1"}
    async with asyncio.timeout(30):
        ended = await run_cli(
            "serve", "--port", "0", HTTPS_PROXY="socks5://planted:1@proxy", NO_PROXY="", **settings
        )

    assert ended.code == 2
    assert ended.err.startswith("privity: HTTPS_PROXY: expected the URL of an HTTP proxy")
    assert "planted" not in ended.out + ended.err
