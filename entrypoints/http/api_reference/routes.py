"""``GET /docs``: the page that shows ``/openapi.json`` and sends requests to the API.

The page is Swagger UI, whose files are in ``swagger_ui/``; ``tools/update-swagger-ui`` fetched
them. It loads nothing from other hosts. It has a policy of its own: Swagger UI shows icons from
``data:`` URLs and writes markup without trusted types, which the chat page must not.
"""

from collections.abc import Mapping
from http import HTTPStatus
from importlib import resources
from typing import Annotated, Final

from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.endpoints import PublicEndpoint
from entrypoints.http.static_files import StaticFile, file_response, static_file

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FOLDER: Final = resources.files("entrypoints.http") / "api_reference"
_DOCUMENT: Final = (_FOLDER / "index.html").read_text("utf-8")
_FILES: Final[Mapping[str, StaticFile]] = {
    **{
        name: static_file((_FOLDER / name).read_bytes(), name)
        for name in ("reference.js", "reference.css")
    },
    **{
        name: static_file(
            (_FOLDER / "swagger_ui" / f"{name}.gz").read_bytes(), name, is_gzipped=True
        )
        for name in ("swagger-ui-bundle.js", "swagger-ui.css")
    },
}


async def reference_page(_: Request) -> Response:
    """``GET /docs``: the page; it neither reads nor sets a cookie."""
    headers = {"cache-control": "no-cache", "content-security-policy": _POLICY}
    return Response(_DOCUMENT, media_type="text/html", headers=headers)


async def reference_file(request: Request) -> Response:
    """``GET /docs/{name}``: a file of the page; 304 if the browser has it already."""
    file = _FILES.get(request.path_params["name"])
    if file is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return file_response(request, file)


_TAG: Final = "API reference"

ROUTES: Final = (
    PublicEndpoint(
        "/docs",
        reference_page,
        "GET",
        summary="Get the interactive reference of this API.",
        responses={HTTPStatus.OK: ["text/html"]},
        tag=_TAG,
    ),
    PublicEndpoint(
        "/docs/{name}",
        reference_file,
        "GET",
        summary="Get a file of the interactive reference.",
        in_path={"name": Annotated[str, Meta(description="The name of the file.")]},
        responses={HTTPStatus.OK: ["*/*"], HTTPStatus.NOT_MODIFIED: []},
        headers=["If-None-Match"],
        response_headers=["ETag"],
        problems=["not_found"],
        tag=_TAG,
    ),
)
