"""``GET /``, the chat page, and the files of the page and the widget."""

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.openapi import Endpoint
from entrypoints.http.page.assets import STYLE_HASH, ChatPage
from entrypoints.http.requests import preferred_locales

_POLICY: Final = (
    f"default-src 'none'; script-src 'self'; style-src '{STYLE_HASH}'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


async def front_page(request: Request) -> Response:
    """``GET /``: the page in the reader's language; it neither reads nor sets a cookie."""
    locales = preferred_locales(request, None, is_first=True)
    # Not cached: otherwise browsers could show a forgotten conversation when they go back.
    headers = {"cache-control": "no-store", "content-security-policy": _POLICY}
    document = _page_of(request).document(locales)
    return Response(document, media_type="text/html", headers=headers)


async def page_file(request: Request) -> Response:
    """``GET /page/{name}``: a file of the page or the widget; 304 if the browser has it already."""
    file = _page_of(request).files.get(request.path_params["name"])
    if file is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    # Without Vary, a browser would reuse this site's copy on an embedding site, where it lacks the
    # CORS headers and is blocked.
    headers = {"cache-control": "no-cache", "etag": file.tag, "vary": "Origin"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _page_of(request: Request) -> ChatPage:
    page: ChatPage = request.state.page
    return page


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
