"""The headers of every response, and the pages that describe the service."""

import re
from base64 import b64encode
from hashlib import sha256
from uuid import uuid4

import pytest
from openapi_spec_validator import validate

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.http_client import JSON, Answer
from tests.support.native_client import NativeClient
from tests.support.service import HTTPS, RunningService, running_service

API_POLICY = "default-src 'none'; frame-ancestors 'none'"


async def every_kind_of_answer(client: NativeClient) -> dict[str, Answer]:
    """One response of each kind: pages, documents, streams, empty ones and problems."""
    stream = await client.send("Hi")
    path = f"/api/chat/{stream.session_id}"
    return {
        "the front page": await client.get("/"),
        "openapi": await client.get("/openapi.json"),
        "health": await client.get("/health/live"),
        "a stream": stream,
        "a reply": await client.post("/api/chat", {"message": "Hi"}, **JSON),
        "a welcome": await client.post("/api/sessions", {}),
        "history": await client.history(stream.session_id),
        "an export": await client.get(f"{path}/export"),
        "nothing": await client.get(f"{path}/stream"),
        "a refusal": await client.post("/api/chat", {}),
        "an unknown conversation": await client.get(f"/api/chat?sessionId={uuid4()}"),
        "a client key": await client.post("/api/client-key", {}),
        "forgetting": await client.delete(path),
        "an unknown address": await client.get("/nope"),
        "a wrong method": await client.call("PUT", "/"),
    }


async def test_every_response_has_the_security_headers(echo_client: NativeClient) -> None:
    answers = await every_kind_of_answer(echo_client)

    for name, answer in answers.items():
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", name
        assert headers["referrer-policy"] == "no-referrer", name
        assert headers["x-frame-options"] == "DENY", name
        assert "frame-ancestors 'none'" in headers["content-security-policy"], name
        assert "strict-transport-security" not in headers, name
        assert "server" not in headers, name


async def test_only_the_page_may_load_resources(echo_client: NativeClient) -> None:
    answers = await every_kind_of_answer(echo_client)

    del answers["the front page"]
    assert {answer.headers["content-security-policy"] for answer in answers.values()} == {
        API_POLICY
    }


async def test_responses_with_content_are_never_cached(echo_client: NativeClient) -> None:
    answers = await every_kind_of_answer(echo_client)

    open_to_all = {"openapi"}
    cached = {
        name
        for name, answer in answers.items()
        if answer.body and "no-store" not in answer.headers.get("cache-control", "")
    }
    assert cached == open_to_all


@pytest.mark.parametrize(("proxies", "sent"), [(0, "max-age=31536000"), (1, None)])
async def test_https_responses_set_hsts_unless_a_proxy_decides(
    proxies: int, sent: str | None
) -> None:
    settings = Settings(public_url=HTTPS, proxies=proxies)
    async with running_service(settings, model=EchoModel()) as service:
        answers = await every_kind_of_answer(NativeClient(service.url))

    seen = {answer.headers.get("strict-transport-security") for answer in answers.values()}
    assert seen == {sent}


async def test_the_front_page_allows_only_its_own_style_and_scripts(
    echo_client: NativeClient,
) -> None:
    answer = await echo_client.get("/")

    page, policy = answer.body.decode(), answer.headers["content-security-policy"]
    inline = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert inline
    assert all(b64encode(sha256(text.encode()).digest()).decode() in policy for text in inline)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.search(r"""\son\w+=|\sstyle=|(?:src|href)=["']?(?:https?:)?//""", page)


@pytest.mark.parametrize("host", ["<b>", '"><script>alert(1)</script>', "evil.example"])
async def test_the_front_page_reflects_no_markup(echo_client: NativeClient, host: str) -> None:
    page = (await echo_client.get("/", host=host)).body

    assert b"<b>" not in page
    assert b"alert" not in page


async def test_the_openapi_document_is_valid_and_names_every_operation(
    echo_client: NativeClient,
) -> None:
    answer = await echo_client.get("/openapi.json")

    validate(answer.document)
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers
    assert {"/api/chat", "/api/sessions", "/api/client-key", "/health/live"} <= set(
        answer.document["paths"]
    )


async def test_every_described_operation_exists(echo_client: NativeClient) -> None:
    paths = (await echo_client.get("/openapi.json")).document["paths"]

    found = {
        (method, path): (
            await echo_client.call(
                method.upper(), path.format(id=uuid4(), item=uuid4(), name=uuid4())
            )
        ).status
        for path, operations in paths.items()
        for method in operations
    }

    assert found
    assert not [path for path, status in found.items() if status == 405 or status >= 500]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_a_healthy_service_is_live_and_ready(echo_client: NativeClient, path: str) -> None:
    answer = await echo_client.get(path)

    assert (answer.status, answer.document) == (200, {"status": "ok"})


async def test_a_service_shutting_down_is_live_but_not_ready(
    service: RunningService, client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        model_reply = await fake_model.next_reply()
        service.runner.refuse_new_turns()
        alive, ready = await client.get("/health/live"), await client.get("/health/ready")
        refused = await client.send("And?")
        model_reply.send_text("Bye")
        model_reply.finish()
        answer = await live.whole()

    assert alive.status == 200
    assert (ready.status, ready.code) == (503, "shutting_down")
    assert int(ready.headers["retry-after"]) > 0
    assert (refused.status, refused.code) == (503, "shutting_down")
    assert answer.clean
