"""The middleware that every request passes through."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.middleware import (
    API_POLICY,
    KnownHosts,
    LocalePrefix,
    SecurityHeaders,
    UnexpectedErrors,
)
from entrypoints.http.problems import Problem
from tests.support.fakes import RecordingTelemetry

LOCALES = ("en", "pt-BR")
TEXT = "planted text"


def http(path: str = "/api/chat") -> Scope:
    return {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": []}


async def answered(app: ASGIApp, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    await app(scope, receive, send)
    return sent


def headers_of(sent: list[Message]) -> Mapping[str, str]:
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds with the path and the locale of the request."""
    locale = getattr(Request(scope).state, "locale", "none")
    await PlainTextResponse(f"{scope['path']} {scope['raw_path'].decode()} {locale}")(
        scope, receive, send
    )


def localized() -> ASGIApp:
    return LocalePrefix(echo, locales=lambda _: LOCALES)


async def test_a_request_that_the_server_cancels_is_answered_as_at_a_shutdown() -> None:
    async def wait_for_ever(_: Scope, __: Receive, ___: Send) -> None:
        await asyncio.Event().wait()

    app = UnexpectedErrors(wait_for_ever, telemetry=lambda _: RecordingTelemetry(), render=rendered)
    request = asyncio.create_task(answered(app, http()))
    await asyncio.sleep(0)
    request.cancel()
    sent = await request

    assert sent[0]["status"] == 503
    assert headers_of(sent)["content-type"] == "application/problem+json"
    assert json.loads(sent[1]["body"])["code"] == "shutting_down"


@pytest.mark.parametrize(
    ("path", "served", "locale"),
    [
        ("/en/api/chat", "/api/chat", "en"),
        ("/EN/api/chat", "/api/chat", "en"),
        ("/pt-br/api/chat", "/api/chat", "pt-BR"),
        ("/api/chat", "/api/chat", "none"),
        ("/de/api/chat", "/de/api/chat", "none"),
        ("/en/health/live", "/en/health/live", "none"),
        ("/en/apiary", "/en/apiary", "none"),
        ("/en", "/en", "none"),
        ("/en/en/api/chat", "/en/en/api/chat", "none"),
        ("/", "/", "none"),
    ],
)
async def test_a_known_locale_before_the_api_is_removed(
    path: str, served: str, locale: str
) -> None:
    sent = await answered(localized(), http(path))

    assert sent[1]["body"].decode() == f"{served} {served} {locale}"


async def test_removing_a_locale_leaves_the_original_scope_unchanged() -> None:
    state = {"services": 1}
    scope = {**http("/en/api/chat"), "state": state}

    await answered(localized(), scope)

    assert (scope["path"], state) == ("/en/api/chat", {"services": 1})


async def test_every_response_gets_the_security_headers() -> None:
    headers = headers_of(await answered(SecurityHeaders(echo, hsts=False), http()))

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["content-security-policy"] == API_POLICY
    assert "strict-transport-security" not in headers


async def test_https_sets_strict_transport_security() -> None:
    headers = headers_of(await answered(SecurityHeaders(echo, hsts=True), http()))

    assert headers["strict-transport-security"] == "max-age=31536000"


async def test_a_response_may_set_its_own_policy() -> None:
    own = Response(headers={"content-security-policy": "default-src 'self'"})

    headers = headers_of(await answered(SecurityHeaders(own, hsts=False), http()))

    assert headers["content-security-policy"] == "default-src 'self'"


def rendered(problem: Problem, _: Scope) -> Response:
    return problem.response()


async def crash(*_: Any) -> None:
    raise RuntimeError(TEXT)


async def crash_in_mid_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await crash(scope, receive, send)


async def test_an_unexpected_error_is_answered_and_logged_only_by_its_source_line() -> None:
    telemetry = RecordingTelemetry()

    sent = await answered(
        UnexpectedErrors(crash, telemetry=lambda _: telemetry, render=rendered), http()
    )

    [(event, facts)] = telemetry.emitted
    line = crash.__code__.co_firstlineno + 1
    assert sent[0]["status"] == 500
    assert b'"code":"internal_error"' in sent[1]["body"]
    assert (event, facts) == (
        "request.failed",
        {"kind": "RuntimeError", "at": f"test_middleware.py:{line}"},
    )
    assert TEXT not in str(sent)


async def test_a_response_that_has_begun_is_only_cut_off() -> None:
    telemetry = RecordingTelemetry()

    sent = await answered(
        UnexpectedErrors(crash_in_mid_answer, telemetry=lambda _: telemetry, render=rendered),
        http(),
    )

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert telemetry.events == ["request.failed"]


async def test_an_error_outside_of_requests_is_raised() -> None:
    telemetry = RecordingTelemetry()

    with pytest.raises(RuntimeError):
        await answered(
            UnexpectedErrors(crash, telemetry=lambda _: telemetry, render=rendered),
            {"type": "lifespan"},
        )

    assert telemetry.emitted == []


def known_hosts(*hosts: str) -> ASGIApp:
    return KnownHosts(echo, hosts=hosts, render=lambda problem, _: problem.response())


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"chat.example", 200),
        (b"CHAT.example.:443", 200),
        (b"chat.example:", 200),
        (b"localhost", 200),
        (b"10.0.0.1:8000", 200),
        (b"[2001:db8::1]:8000", 200),
        (b"sub.chat.example", 421),
        (b"chat.example.evil", 421),
        (b"chat.example:80:80", 421),
        (b"chat.example:port", 421),
        (b"10.0.0", 421),
        (b"2001:db8::1", 421),
        (b"[chat.example]", 421),
        (b"chat.example\n", 421),
        (b"a" * 1_000, 421),
        (b"", 421),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_host_is_known_or_refused(header: bytes, status: int) -> None:
    scope = {**http("/"), "headers": [(b"host", header)]}

    assert (await answered(known_hosts("chat.example"), scope))[0]["status"] == status


async def test_a_request_has_one_host() -> None:
    host = (b"host", b"localhost")
    statuses = [
        (await answered(known_hosts(), {**http("/"), "headers": [host] * count}))[0]["status"]
        for count in (0, 1, 2)
    ]

    assert statuses == [421, 200, 421]
