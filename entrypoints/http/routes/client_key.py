"""Client keys: ``POST`` and ``DELETE /api/client-key``."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.answers import ClientKeyAnswer, json_response
from entrypoints.http.bodies import EmptyBody, read_body
from entrypoints.http.services import services_of
from ports.rate_limiter import Share

_NOTHING: Final = 204
_CREATED: Final = 201


async def issue(request: Request) -> Response:
    """Make a new client key, for use as a bearer; the cookie stays as it is."""
    services = services_of(request)
    services.callers.check_origin(request)
    services.callers.recognise(request)
    await read_body(request, EmptyBody)
    await services.limiter.spend(services.callers.address(request), Share.NEW)
    return json_response(ClientKeyAnswer(client_key=services.keys.issue()), status=_CREATED)


async def take_back(request: Request) -> Response:
    """Clear the cookie: nothing of this browser can be read any more."""
    services = services_of(request)
    services.callers.check_origin(request)
    return Response(status_code=_NOTHING, headers=services.callers.taken_back())


ROUTES: Final = (
    Route("/api/client-key", issue, methods=["POST"]),
    Route("/api/client-key", take_back, methods=["DELETE"]),
)
