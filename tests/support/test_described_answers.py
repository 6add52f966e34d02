"""The comparison of answers with their descriptions sees what is missing."""

from http import HTTPStatus
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.endpoints import Endpoint
from tests.support.described_answers import endpoint_of, undescribed_problem, undescribed_success


async def handler(_: Request) -> Response:
    raise AssertionError


ENDPOINT = Endpoint(
    "/api/made-up/{id}",
    handler,
    "GET",
    summary="Made up.",
    responses={HTTPStatus.OK: [dict[str, Any], "text/html"], HTTPStatus.NO_CONTENT: []},
    problems=["turn_not_found"],
)


@pytest.mark.parametrize("path", ["/api/made-up/1", "/fi/api/made-up/1"])
def test_a_route_is_found_with_and_without_a_language(path: str) -> None:
    assert endpoint_of([ENDPOINT], "GET", path) is ENDPOINT
    assert endpoint_of([ENDPOINT], "POST", path) is None
    assert endpoint_of([ENDPOINT], "GET", "/api/made-up") is None


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"code": "turn_not_found"}', 0),
        (b'{"error": {"code": "internal_error"}}', 0),
        (b'{"code": "message_not_found"}', 1),
        (b'{"error": {"code": "message_not_found"}}', 1),
        (b"", 0),
    ],
)
def test_an_undescribed_code_is_seen(body: bytes, count: int) -> None:
    assert len([*undescribed_problem(ENDPOINT, 404, body)]) == count


@pytest.mark.parametrize(
    ("status", "media_type", "count"),
    [
        (200, "application/json", 0),
        (200, "text/html", 0),
        (204, "", 0),
        (200, "text/event-stream", 1),
        (201, "application/json", 1),
    ],
)
def test_an_undescribed_success_is_seen(status: int, media_type: str, count: int) -> None:
    assert len([*undescribed_success(ENDPOINT, status, media_type)]) == count
