"""``GET /openapi.json``."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.openapi import document


async def openapi(_: Request) -> Response:
    """The description of the native protocol."""
    return Response(
        msgspec.json.encode(document()),
        media_type="application/json",
        headers={"cache-control": "public, max-age=300"},
    )


ROUTES: Final = (Route("/openapi.json", openapi, methods=["GET"]),)
