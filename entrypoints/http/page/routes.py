"""``GET /``, the chat page, and the files of the page and the widget."""

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.openapi import Endpoint
from entrypoints.http.page.assets import FILES, PAGE
from entrypoints.http.services import services_of

_POLICY: Final = (
    f"default-src 'none'; script-src 'self'; style-src '{PAGE.style_hash}'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


async def front_page(request: Request) -> Response:
    """``GET /``: the page, with a client key for a browser that has none."""
    authenticator = services_of(request).authenticator
    # No origin check: any site may link here, and a new key does not own any conversation yet.
    caller = authenticator.authenticate_or_issue(request)
    headers = {
        "cache-control": "no-store",
        "content-security-policy": _POLICY,
        **authenticator.key_headers(caller),
    }
    return Response(PAGE.html, media_type="text/html", headers=headers)


async def page_file(request: Request) -> Response:
    """``GET /page/{name}``: a file of the page or the widget; 304 if the browser has it already."""
    file = FILES.get(request.path_params["name"])
    if file is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    # Without Vary, a browser would reuse this site's copy on an embedding site, where it lacks the
    # CORS headers and is blocked.
    headers = {"cache-control": "no-cache", "etag": file.tag, "vary": "Origin"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


ROUTES: Final = (
    Endpoint(
        "/",
        front_page,
        "GET",
        summary="Get the chat page.",
        responses={HTTPStatus.OK: ["text/html"]},
    ),
    Endpoint(
        "/page/{name}",
        page_file,
        "GET",
        summary="Get a file of the chat page or the widget.",
        responses={HTTPStatus.OK: ["*/*"], HTTPStatus.NOT_MODIFIED: []},
        headers=["If-None-Match"],
    ),
)
