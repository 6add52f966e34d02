"""Compares every answer of a service with what its OpenAPI document says about the route."""

import json
from collections.abc import Iterator, Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

from entrypoints.http.endpoints import Endpoint, Events


class DescribedAnswers:
    """Passes requests on to an app, and notes the answers that no description mentions."""

    def __init__(self, app: Starlette) -> None:
        self.undescribed: list[str] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started: Message = {}
        body = b""

        async def send_and_read(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                started.update(message)
            elif started and started["status"] >= 400:
                body += message.get("body", b"")
            await send(message)

        try:
            await self._app(scope, receive, send_and_read)
        finally:
            if started:
                self._compare(scope, started, body)

    def check(self) -> None:
        if self.undescribed:
            raise AssertionError("\n".join(sorted(set(self.undescribed))))

    def _compare(self, scope: Scope, started: Message, body: bytes) -> None:
        endpoint = endpoint_of(self._app.routes, scope["method"], scope["path"])
        if endpoint is None:
            return
        headers = {name.lower(): value.decode() for name, value in started["headers"]}
        media_type = headers.get(b"content-type", "").partition(";")[0]
        if started["status"] >= 400:
            found = undescribed_problem(endpoint, started["status"], body)
        else:
            found = undescribed_success(endpoint, started["status"], media_type)
        self.undescribed += found


def endpoint_of(routes: Sequence[BaseRoute], method: str, path: str) -> Endpoint | None:
    """The endpoint that answers; None if none does."""
    first, _, rest = path[1:].partition("/")
    # A path under /api may begin with a language.
    path = f"/{rest}" if rest.startswith("api/") and first != "page" else path
    scope = {"type": "http", "method": method, "path": path}
    for route in routes:
        if isinstance(route, Endpoint) and route.matches(scope)[0] is Match.FULL:
            return route
    return None


def undescribed_problem(endpoint: Endpoint, status: int, body: bytes) -> Iterator[str]:
    """The code of a problem that the description of the endpoint lacks."""
    document = json.loads(body) if body else {}
    code = document.get("code") or document.get("error", {}).get("code")
    # A path with an unknown language has no route.
    if code not in (None, "not_found", *endpoint.codes_of(endpoint.problems)):
        yield _named(endpoint, f"answers {status} {code}: add it to `problems`")


def undescribed_success(endpoint: Endpoint, status: int, media_type: str) -> Iterator[str]:
    """The status or the media type of a success that the description of the endpoint lacks."""
    contents = {int(one): [*map(_media_type, kinds)] for one, kinds in endpoint.responses.items()}
    if status not in contents:
        yield _named(endpoint, f"answers {status}: add it to `responses`")
    elif media_type not in (contents[status] or [""]) and "*/*" not in contents[status]:
        yield _named(endpoint, f"answers {status} with {media_type}: add it to `responses`")


def _media_type(kind: object) -> str:
    if isinstance(kind, str):
        return kind
    return "text/event-stream" if isinstance(kind, Events) else "application/json"


def _named(endpoint: Endpoint, what: str) -> str:
    return f"{endpoint.method.upper()} {endpoint.path_format} {what}"
