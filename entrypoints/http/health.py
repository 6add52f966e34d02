"""Health checks: ``/health/live`` for the process, ``/health/ready`` for new work."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.documents import HealthDocument, json_response
from entrypoints.http.endpoints import PublicEndpoint
from entrypoints.http.services import services_of
from ports.errors import ShuttingDown


async def live(_: Request) -> Response:
    """``GET /health/live``: the process responds."""
    return json_response(HealthDocument(status="ok"))


async def ready(request: Request) -> Response:
    """``GET /health/ready``: the service accepts new turns and can store them."""
    services = services_of(request)
    if not services.accepts_new_turns():
        raise ShuttingDown
    await services.readiness.check()
    return json_response(HealthDocument(status="ok"))


class HealthEndpoint(PublicEndpoint):
    """A health check."""

    tag = "Health"
    examples: Mapping[Any, Any] = MappingProxyType({HealthDocument: {"status": "ok"}})


_HEALTHY: Final = {HTTPStatus.OK: [HealthDocument]}

ROUTES: Final = (
    HealthEndpoint(
        "/health/live",
        live,
        "GET",
        summary="Check whether the process responds.",
        responses=_HEALTHY,
    ),
    HealthEndpoint(
        "/health/ready",
        ready,
        "GET",
        summary="Check whether the service accepts new messages.",
        responses=_HEALTHY,
        problems=["store_unavailable"],
    ),
)
