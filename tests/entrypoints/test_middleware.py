"""What every request passes through."""

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.middleware import (
    API_POLICY,
    LocalePrefix,
    SecurityHeaders,
    UnexpectedErrors,
)
from entrypoints.http.problems import Problem
from tests.support.fakes import RecordingTelemetry

LOCALES = ("en", "pt-BR")
WORDS = "planted words"


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
    """Answers with the path and the locale it was given."""
    locale = getattr(Request(scope).state, "locale", "none")
    await PlainTextResponse(f"{scope['path']} {scope['raw_path'].decode()} {locale}")(
        scope, receive, send
    )


def localized() -> ASGIApp:
    return LocalePrefix(echo, locales=lambda _: LOCALES)


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
async def test_a_locale_of_ours_before_the_api_is_taken_off(
    path: str, served: str, locale: str
) -> None:
    sent = await answered(localized(), http(path))

    assert sent[1]["body"].decode() == f"{served} {served} {locale}"


async def test_taking_a_locale_off_leaves_the_scope_of_others_alone() -> None:
    state = {"services": 1}
    scope = {**http("/en/api/chat"), "state": state}

    await answered(localized(), scope)

    assert (scope["path"], state) == ("/en/api/chat", {"services": 1})


async def test_every_answer_is_careful() -> None:
    headers = headers_of(await answered(SecurityHeaders(echo, is_https=False), http()))

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["content-security-policy"] == API_POLICY
    assert "strict-transport-security" not in headers


async def test_who_came_by_https_is_kept_there() -> None:
    headers = headers_of(await answered(SecurityHeaders(echo, is_https=True), http()))

    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_an_answer_may_bring_its_own_policy() -> None:
    own = Response(headers={"content-security-policy": "default-src 'self'"})

    headers = headers_of(await answered(SecurityHeaders(own, is_https=False), http()))

    assert headers["content-security-policy"] == "default-src 'self'"


def rendered(problem: Problem, _: str) -> Response:
    return problem.response()


async def crash(*_: Any) -> None:
    raise RuntimeError(WORDS)


async def crash_in_mid_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await crash(scope, receive, send)


async def test_an_unexpected_error_is_answered_and_noted_by_its_place_only() -> None:
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
    assert WORDS not in str(sent)


async def test_an_answer_that_has_begun_is_only_cut_off() -> None:
    telemetry = RecordingTelemetry()

    sent = await answered(
        UnexpectedErrors(crash_in_mid_answer, telemetry=lambda _: telemetry, render=rendered),
        http(),
    )

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert telemetry.events == ["request.failed"]


async def test_an_error_outside_of_requests_is_passed_on() -> None:
    telemetry = RecordingTelemetry()

    with pytest.raises(RuntimeError):
        await answered(
            UnexpectedErrors(crash, telemetry=lambda _: telemetry, render=rendered),
            {"type": "lifespan"},
        )

    assert telemetry.emitted == []
