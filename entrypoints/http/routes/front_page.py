"""The page at ``/``: it says that the service runs and how to talk to it."""

import hashlib
from base64 import b64encode
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.services import services_of

_PAGE: Final = (resources.files("entrypoints.http") / "page" / "index.html").read_text("utf-8")
_STYLE: Final = _PAGE.partition("<style>")[2].partition("</style>")[0]
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


async def front_page(request: Request) -> Response:
    """``GET /``: the page, and a client key for a browser that has none."""
    callers = services_of(request).callers
    # A link from anywhere may open the page, and the key it hands out opens nothing yet.
    visitor = callers.welcome(request)
    headers = {"cache-control": "no-store", "content-security-policy": _POLICY}
    page = _PAGE.replace("{origin}", _origin(request, callers.public_origin))
    return Response(
        page, media_type="text/html", headers={**headers, **callers.handed_out(visitor)}
    )


def _origin(request: Request, public_origin: str | None) -> str:
    host = request.url.netloc
    plain = all(character.isalnum() or character in ".-:[]" for character in host)
    return public_origin or f"{request.url.scheme}://{host if plain else 'localhost'}"


ROUTES: Final = (Route("/", front_page, methods=["GET"]),)
