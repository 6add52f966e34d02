"""The routes that issue client keys and clear the cookie. See docs/http_api.md."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from domain.model.rate_limits import Charge, Quota
from entrypoints.http.documents import ClientKeyDocument, json_response
from entrypoints.http.endpoints import Endpoint
from entrypoints.http.native.bodies import EmptyBody
from entrypoints.http.native.examples import EXAMPLES
from entrypoints.http.requests import read_optional_body
from entrypoints.http.services import services_of


async def create_client_key(request: Request) -> Response:
    """``POST /api/client-key``: a new client key to use as a bearer token; sets no cookie."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate(request)
    await read_optional_body(request, EmptyBody)
    payer = services.authenticator.payer(request, caller)
    await services.limiter.consume(Charge(payer=payer, amounts={Quota.NEW: 1}))
    document = ClientKeyDocument(client_key=services.keys.issue())
    return json_response(document, status=HTTPStatus.CREATED)


async def delete_client_key(request: Request) -> Response:
    """``DELETE /api/client-key``: clear the cookie."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    return Response(
        status_code=HTTPStatus.NO_CONTENT, headers=services.authenticator.clear_key_headers()
    )


ROUTES: Final = (
    Endpoint(
        "/api/client-key",
        create_client_key,
        "POST",
        summary="Create a client key, to be sent as a bearer token.",
        tag="Client keys",
        examples=EXAMPLES,
        body=[EmptyBody],
        is_body_optional=True,
        responses={HTTPStatus.CREATED: [ClientKeyDocument]},
        headers=["Privity-On-Behalf-Of"],
        problems=["store_unavailable"],
    ),
    Endpoint(
        "/api/client-key",
        delete_client_key,
        "DELETE",
        summary="Clear the cookie.",
        tag="Client keys",
        examples=EXAMPLES,
        responses={HTTPStatus.NO_CONTENT: []},
        response_headers=["Set-Cookie"],
    ),
)
