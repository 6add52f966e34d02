"""Refused callers are logged by the code and the limit, and cannot fill the log."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from entrypoints.settings import Settings
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.service import running_service

SESSIONS = "/api/sessions"


async def forged(url: str) -> Answer:
    return await NativeClient(url, authorization="Bearer ck_forged").post(SESSIONS, {})


async def elsewhere(url: str) -> Answer:
    return await NativeClient(url).post(SESSIONS, {}, host="elsewhere.example")


async def cross_site(url: str) -> Answer:
    return await NativeClient(url).post(SESSIONS, {}, origin="https://elsewhere.example")


async def closed_v1(url: str) -> Answer:
    client_key = (await NativeClient(url).post("/api/client-key", {})).document["clientKey"]
    caller = NativeClient(url, authorization=f"Bearer {client_key}")
    return await caller.post("/v1/responses", {"input": "Hi"})


async def greedy(url: str) -> Answer:
    client = NativeClient(url)
    await client.post(SESSIONS, {})
    return await client.post(SESSIONS, {})


def refused(lines: list[Any]) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["event"] == "request.refused"]


@pytest.mark.parametrize(
    ("call", "status", "fields"),
    [
        (forged, 401, {"code": "client_key_invalid"}),
        (elsewhere, 421, {"code": "host_unknown"}),
        (cross_site, 403, {"code": "cross_site_request"}),
        (closed_v1, 403, {"code": "client_key_not_allowed"}),
        (greedy, 429, {"code": "too_many_requests", "limit": "new-client-key"}),
    ],
)
async def test_a_refusal_is_logged_as_a_warning_with_its_code(
    call: Any, status: int, fields: Mapping[str, str]
) -> None:
    settings = Settings(limits=call is greedy, new_per_hour_per_key=1, v1=False)
    with capture_logs() as lines:
        async with running_service(settings) as service:
            answer = await call(service.url)

    assert answer.status == status
    assert refused(lines) == [
        {"event": "request.refused", "log_level": "warning", "count": 1, **fields}
    ]


async def test_a_thousand_refused_requests_are_two_lines() -> None:
    with capture_logs() as lines:
        async with running_service() as service:
            for _ in range(20):
                await asyncio.gather(*(forged(service.url) for _ in range(50)))

    assert [line["count"] for line in refused(lines)] == [1, 999]


async def test_requests_that_are_only_wrong_are_not_logged() -> None:
    with capture_logs() as lines:
        async with running_service() as service:
            client = NativeClient(service.url)
            answers = [
                await client.post(SESSIONS, {"made": "up"}),
                await client.get("/made/up"),
                await client.history("6f1f4a5e-0c6b-4f0e-9d2a-0a1b2c3d4e5f"),
            ]

    assert [answer.status for answer in answers] == [400, 404, 404]
    assert {line["event"] for line in lines} <= {
        "service.started",
        "service.draining",
        "service.stopped",
    }


async def test_connections_beyond_the_limit_of_an_address_are_logged() -> None:
    with capture_logs() as lines:
        async with running_service() as service:
            port = urlsplit(service.url).port
            connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(256)]
            answers = [await NativeClient(service.url).get("/health/live") for _ in range(3)]
            for _, writer in connections:
                writer.close()

    assert {answer.status for answer in answers} == {429}
    assert [line for line in lines if line["event"] == "connection.refused"] == [
        {
            "event": "connection.refused",
            "log_level": "warning",
            "code": "too_many_requests",
            "count": count,
        }
        for count in (1, 2)
    ]
